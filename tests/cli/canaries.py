"""Secrets that are planted, and the search for any piece of them, however it is spelled.

A piece is twelve characters of a secret as it is, in hex, in base64 at any alignment, URL-quoted, or escaped
as JSON and Python escape it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus

PIECE = 12


class Search:
    """Finds pieces of secrets, each known by a name."""

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        self._pieces: dict[bytes, str] = {}
        for name, secret in secrets.items():
            for spelled in _spellings(secret):
                for at in range(len(spelled) - PIECE + 1):
                    self._pieces[spelled[at : at + PIECE]] = name

    def found(self, text: bytes) -> set[str]:
        """The names of the secrets of which there is a piece."""
        pieces = {text[at : at + PIECE] for at in range(len(text) - PIECE + 1)}
        return {self._pieces[piece] for piece in pieces & self._pieces.keys()}


def _spellings(secret: bytes) -> Iterator[bytes]:
    assert len(secret) >= PIECE, "too short to be told from chance"
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    yield from _base64(secret)
    text = secret.decode("latin-1")
    for quoted in (quote(secret, safe=""), quote_plus(secret), json.dumps(text)[1:-1], repr(text)[1:-1]):
        yield quoted.encode()
        yield quoted.replace("/", "\\/").encode()
    yield quote(secret, safe="").lower().encode()


def _base64(secret: bytes) -> Iterator[bytes]:
    """Wherever in a longer text the secret stands: its first and last letters depend on what is beside it."""
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            letters = encode(bytes(before) + secret).rstrip(b"=")
            yield letters[2 if before else 0 : len(letters) - 1]


def report(leaks: Iterable[tuple[str, str]]) -> str:
    """Which secret was found where."""
    return "\n".join(f"{secret} in {place}" for place, secret in sorted(set(leaks)))
