"""Keeps credentials out of errors: an endpoint may repeat, in any part of its answer, what it was sent.

What is told of an answer goes to terminals, reports, ledgers and logs. So pieces of the access key, of the
session token and of the secret key are taken out of it, as they are and URL-quoted, also where the endpoint
cut them off. What an endpoint encodes in other ways it knew before; it is not our text that gives it away.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Final
from urllib.parse import quote

from transfer.core.sigv4 import Credentials
from transfer.errors import StoreError, TransferError

PIECE_CHARS: Final = 8
"""Shorter pieces stand in words that are no secret, and say little of one."""
_MARK: Final = "***"
_REMEMBERED: Final = 4
"""Temporary credentials are renewed every hour or so, for as long as a service runs."""


class Concealer:
    """Knows the credentials that were sent to one endpoint."""

    def __init__(self) -> None:
        self._last: Credentials | None = None
        self._pieces: deque[frozenset[str]] = deque(maxlen=_REMEMBERED)

    def learn(self, credentials: Credentials) -> None:
        """These are sent from now on; the ones just before them may still be repeated."""
        if credentials is self._last:
            return
        self._last = credentials
        secrets = (credentials.access_key, credentials.secret_key, credentials.session_token or "")
        spelled = [text for secret in secrets for text in (secret, quote(secret, safe=""))]
        self._pieces.append(frozenset(piece for text in spelled for piece in _pieces(text)))

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Take the credentials out of any error that comes out, and leave away what brought it about: its
        cause has the endpoint's own words."""
        try:
            yield
        except TransferError as error:
            error.what, error.remedy = self.concealed(error.what), self.concealed(error.remedy)
            error.args = (error.what,)
            if isinstance(error, StoreError):
                error.code = self.concealed(error.code)
            raise error from None

    def concealed(self, text: str) -> str:
        """The text without them."""
        hidden = bytearray(len(text))
        for at, piece in enumerate(_pieces(text)):
            if any(piece in pieces for pieces in self._pieces):
                hidden[at : at + PIECE_CHARS] = b"\1" * PIECE_CHARS
        if not any(hidden):
            return text
        runs = groupby(zip(text, hidden, strict=True), key=lambda pair: pair[1])
        return "".join(_MARK if secret else "".join(char for char, _ in run) for secret, run in runs)


def _pieces(text: str) -> Iterator[str]:
    return (text[at : at + PIECE_CHARS] for at in range(len(text) - PIECE_CHARS + 1))
