"""Reads age files: the file key from the header, then the payload, chunk by chunk.

Guarantees: no byte is given out before its chunk was authenticated at its place, and the end of the file is
reported only behind an authentic last chunk with nothing following. What was given out before an error is
authentic as far as it goes, but not the whole. Memory is one block beyond what is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from transfer.errors import AccessError, FormatError, IntegrityError
from transfer.formats.age import x25519
from transfer.formats.age.header import MAX_HEADER_BYTES, Header, parse_header
from transfer.formats.age.keys import Identity
from transfer.formats.age.stream import CHUNK_BYTES, NONCE_BYTES, STORED_CHUNK_BYTES, Payload

MAX_HEAD_BYTES = MAX_HEADER_BYTES + NONCE_BYTES
"""As much of a file as `open_head` can need."""
_BLOCK_CHUNKS = 16
_SCRYPT = "scrypt"


class Source(Protocol):
    """What can be read from its place on: a file, a pipe, a response."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, none at the end."""


@dataclass(frozen=True, slots=True)
class Head:
    """The opened beginning of an age file.

    Attributes:
        size_bytes: where the first chunk stands: header and nonce.
        payload: opens the chunks.
    """

    size_bytes: int
    payload: Payload


def open_head(start: bytes, identities: Sequence[Identity]) -> Head:
    """Open a file by its first bytes: `MAX_HEAD_BYTES` of them, or all where it has fewer.

    Raises:
        FormatError: it does not begin with a whole, well-formed header and nonce.
        AccessError: it is not encrypted to any of the identities.
        IntegrityError: the header was changed.
    """
    header = parse_header(start)
    if any(stanza.arguments[0] == _SCRYPT for stanza in header.stanzas) and len(header.stanzas) > 1:
        raise FormatError("age header mixes a passphrase with other recipients")
    file_key = _file_key(header, identities)
    header.verify(file_key)
    nonce = start[header.size_bytes : header.size_bytes + NONCE_BYTES]
    if len(nonce) < NONCE_BYTES:
        raise FormatError("age file ends before its payload")
    return Head(header.size_bytes + NONCE_BYTES, Payload(file_key, nonce, complete=True))


class AgeReader:
    """The plain bytes of an age file, in order; not for use by two threads at once.

    Args:
        stream: at the file's first byte; it is read to its end and not closed.
        identities: one of them must be a recipient of the file.

    Raises:
        FormatError, AccessError, IntegrityError: as `open_head`.
    """

    def __init__(self, stream: Source, identities: Sequence[Identity]) -> None:
        start = _filled(stream, MAX_HEAD_BYTES)
        head = open_head(start, identities)
        self._stream = stream
        self._payload = head.payload
        self._index = 0
        self._ahead = start[head.size_bytes :]
        self._opened = memoryview(b"")
        self._ended = False
        self._failed = False

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer only where the file ends.

        Raises:
            IntegrityError: the file is damaged, cut short or extended; so ends every later call, too.
            ValueError: `size` is negative.
        """
        if size < 0:
            raise ValueError("an age file is read in pieces: say how many bytes")
        first, self._opened = self._opened[:size], self._opened[size:]
        pieces: list[bytes | memoryview] = [first] if first else []
        missing = size - len(first)
        while missing > 0 and not self._ended:
            chunks = self._open_block(min(_BLOCK_CHUNKS, -(-missing // CHUNK_BYTES)))
            pieces += chunks
            missing -= sum(map(len, chunks))
        if missing < 0:  # only the last chunk can hold more than was asked for
            chunk = memoryview(pieces[-1])
            pieces[-1], self._opened = chunk[:missing], chunk[missing:]
        return b"".join(pieces)

    def _open_block(self, count: int) -> list[bytes]:
        """The next chunks, so many or up to the end."""
        if self._failed:
            raise IntegrityError("age file is damaged, as an earlier read has found")
        self._failed = True  # until proved otherwise
        stored, ended = self._read_chunks(count)
        final = len(stored) - 1 if ended else -1
        plain = [
            self._payload.open(self._index + at, chunk, last=at == final) for at, chunk in enumerate(stored)
        ]
        self._index += len(plain)
        self._ended, self._failed = ended, False
        return plain

    def _read_chunks(self, count: int) -> tuple[list[bytes | memoryview], bool]:
        """The stored bytes of chunks, and whether the file ends with them.

        One byte more is read: it tells a last chunk from another. It goes in front of the next block's first
        chunk, which is the only one to be copied for it.
        """
        wanted = count * STORED_CHUNK_BYTES + 1
        fresh = memoryview(_filled(self._stream, wanted - len(self._ahead)))
        ended = len(self._ahead) + len(fresh) < wanted
        first = STORED_CHUNK_BYTES - len(self._ahead)
        stored: list[bytes | memoryview] = [self._ahead + fresh[:first]]
        end = len(fresh) if ended else len(fresh) - 1
        for at in range(first, end, STORED_CHUNK_BYTES):
            stored.append(fresh[at : min(end, at + STORED_CHUNK_BYTES)])
        self._ahead = bytes(fresh[end:])
        return stored, ended


def _file_key(header: Header, identities: Sequence[Identity]) -> bytes:
    for identity in identities:
        for stanza in header.stanzas:
            if file_key := x25519.unwrap(stanza, identity):
                return file_key
    raise AccessError(
        "the file is not encrypted to this identity", remedy="give the identity of one of its recipients"
    )


def _filled(stream: Source, size: int) -> bytes:
    """`size` bytes, fewer only at the stream's end, however small the pieces it comes in."""
    pieces = []
    while size > 0 and (piece := stream.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
