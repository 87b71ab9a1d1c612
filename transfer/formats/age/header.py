"""The textual header of an age file: version line, recipient stanzas, MAC (age-encryption.org/v1, "Header").

Reading is strict: every header has one spelling (canonical base64 without padding, lines of 64 columns, line
feeds alone), and at most 16 KiB. Stanzas of all types are parsed; what they mean is their type's business.
Whether the header is genuine is known after `Header.verify` alone.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from transfer.errors import FormatError, IntegrityError

MAX_HEADER_BYTES = 16 * 1024
_VERSION_LINE = b"age-encryption.org/v1"
_STANZA_MARK = b"-> "
_MAC_MARK = b"---"
_COLUMNS = 64
_MAC_BYTES = 32


@dataclass(frozen=True, slots=True)
class Stanza:
    """The file key, wrapped for one recipient.

    Attributes:
        arguments: printable ASCII without spaces; the first is the stanza's type.
        body: what the type makes of it.
    """

    arguments: tuple[str, ...]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Header:
    """A parsed header, not yet known to be genuine.

    Attributes:
        stanzas: one or more, in order.
        authenticated: the bytes that the MAC is made over.
        mac: the MAC that the header carries, 32 bytes.
        size_bytes: how long the header is, its last line feed included.
    """

    stanzas: tuple[Stanza, ...]
    authenticated: bytes = field(repr=False)
    mac: bytes = field(repr=False)
    size_bytes: int

    def verify(self, file_key: bytes) -> None:
        """Compare the MAC, in constant time.

        Raises:
            IntegrityError: the header was changed after it was written.
        """
        try:
            _mac(file_key, self.authenticated).verify(self.mac)
        except InvalidSignature:
            raise IntegrityError("age header was changed: its MAC is wrong") from None


def encode_header(stanzas: Sequence[Stanza], file_key: bytes) -> bytes:
    """The header's bytes, its MAC made with the file key (16 bytes)."""
    lines = [_VERSION_LINE]
    for stanza in stanzas:
        lines.append(b"-> " + " ".join(stanza.arguments).encode("ascii"))
        body = encode_base64(stanza.body)
        # One more than is full: a body ends with a short line, an empty one if need be.
        lines += [body[start : start + _COLUMNS] for start in range(0, len(body) + 1, _COLUMNS)]
    authenticated = b"\n".join([*lines, _MAC_MARK])
    return authenticated + b" " + encode_base64(_mac(file_key, authenticated).finalize()) + b"\n"


def parse_header(start: bytes) -> Header:
    """The header that `start`, the first bytes of a file, begins with; what follows it is not looked at.

    Raises:
        FormatError: there is no header, it is malformed, cut short, or over 16 KiB.
    """
    lines = _Lines(start)
    if lines.next() != _VERSION_LINE:
        raise FormatError("not an age file of version 1: its first line is another")
    stanzas = []
    while (line := lines.next()).startswith(_STANZA_MARK):
        stanzas.append(Stanza(_arguments(line), _body(lines)))
    if not stanzas:
        raise FormatError("age header has no recipients")
    if not line.startswith(_MAC_MARK + b" "):
        raise FormatError("age header has a line that is neither stanza nor MAC")
    mac = decode_base64(line[len(_MAC_MARK) + 1 :])
    if len(mac) != _MAC_BYTES:
        raise FormatError("age header has a MAC of wrong length")
    authenticated = start[: lines.position - len(line) - 1 + len(_MAC_MARK)]
    return Header(tuple(stanzas), authenticated, mac, lines.position)


def encode_base64(content: bytes) -> bytes:
    """Base64 without padding (RFC 4648 §4)."""
    return binascii.b2a_base64(content, newline=False).rstrip(b"=")


def decode_base64(text: bytes) -> bytes:
    """The content of canonical base64 without padding.

    Raises:
        FormatError: it is anything else.
    """
    try:
        content = binascii.a2b_base64(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        raise FormatError("age header has base64 of a wrong length") from None
    if encode_base64(content) != text:  # strange characters, padding, bits that say nothing
        raise FormatError("age header has base64 that is not canonical")
    return content


class _Lines:
    """The lines of a header, each taken without its line feed."""

    def __init__(self, start: bytes) -> None:
        self._start = start
        self.position = 0

    def next(self) -> bytes:
        end = self._start.find(b"\n", self.position, MAX_HEADER_BYTES)
        if end < 0:
            whole = len(self._start) >= MAX_HEADER_BYTES
            raise FormatError(f"age header is {'over 16 KiB long' if whole else 'cut short'}")
        line = self._start[self.position : end]
        self.position = end + 1
        return line


def _arguments(line: bytes) -> tuple[str, ...]:
    arguments = line[len(_STANZA_MARK) :].split(b" ")
    if any(not argument or not all(0x21 <= code <= 0x7E for code in argument) for argument in arguments):
        raise FormatError("age header has a stanza with an empty or unprintable argument")
    return tuple(argument.decode("ascii") for argument in arguments)


def _body(lines: _Lines) -> bytes:
    parts = [lines.next()]
    while len(parts[-1]) == _COLUMNS:
        parts.append(lines.next())
    if len(parts[-1]) > _COLUMNS:
        raise FormatError("age header has a stanza with a line over 64 columns")
    return decode_base64(b"".join(parts))


def _mac(file_key: bytes, authenticated: bytes) -> HMAC:
    mac = HMAC(HKDF(SHA256(), length=32, salt=None, info=b"header").derive(file_key), SHA256())
    mac.update(authenticated)
    return mac
