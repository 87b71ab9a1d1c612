"""The payload of an age file: chunks of 64 KiB, each sealed with ChaCha20-Poly1305 under its number and a
mark for the last one (the STREAM construction; age-encryption.org/v1, "Payload").

Guarantees: no nonce is used twice, for chunks can be sealed in rising order only, once each, and none behind
the last; and a chunk opens at its own place in its own file alone, as last or as not last. Chunks may be
opened in any order; a payload was read as a whole only when every chunk up to the last one was opened.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from transfer.errors import IntegrityError

CHUNK_BYTES = 65536
TAG_BYTES = 16
STORED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
NONCE_BYTES = 16
_END = 1 << 88
"""Behind the highest number of a chunk: eleven bytes."""

Buffer = bytes | bytearray | memoryview


class Payload:
    """Seals and opens the chunks of one file; opening may be done by several threads at once.

    Args:
        file_key: 16 bytes, made for this file alone.
        nonce: the 16 bytes behind the header, made for this file alone.
        complete: all chunks exist already; none can be sealed any more.
    """

    __slots__ = ("_cipher", "_unused")

    def __init__(self, file_key: bytes, nonce: bytes, *, complete: bool = False) -> None:
        kdf = HKDF(SHA256(), length=32, salt=nonce, info=b"payload")
        self._cipher = ChaCha20Poly1305(kdf.derive(file_key))
        self._unused = _END if complete else 0

    def seal(self, index: int, plain: Buffer, *, last: bool) -> bytes:
        """The stored bytes of a chunk: 16 more than it has.

        Args:
            index: its number, from 0; above that of every chunk sealed before.
            plain: 65,536 bytes; the last chunk 1 to 65,536, or none where it is the only one.
            last: no other chunk follows.

        Raises:
            ValueError: the chunk was sealed already, or has the wrong size.
        """
        if not self._unused <= index < _END:
            raise ValueError(f"chunk {index} of the age payload was sealed already")
        if not _fits(index, len(plain), last):
            raise ValueError(f"chunk {index} of the age payload cannot have {len(plain)} bytes")
        self._unused = _END if last else index + 1  # before it is used: not even a failure frees it
        return self._cipher.encrypt(_nonce(index, last), plain, None)

    def open(self, index: int, stored: Buffer, *, last: bool) -> bytes:
        """The plain bytes of a chunk.

        Args:
            index: its number, from 0.
            stored: the chunk as it stands in the file, its tag included.
            last: it stands at the end of the file.

        Raises:
            IntegrityError: this is not the chunk that was sealed for this place.
        """
        if not _fits(index, len(stored) - TAG_BYTES, last):
            raise IntegrityError(f"age payload is damaged: chunk {index} has {len(stored)} stored bytes")
        try:
            return self._cipher.decrypt(_nonce(index, last), stored, None)
        except InvalidTag:
            raise IntegrityError(
                f"age payload is damaged: chunk {index} is not what was written there, or the end is missing"
            ) from None


def payload_bytes(plain_bytes: int) -> int:
    """How long the chunks of so many plain bytes are; no byte at all makes one chunk."""
    chunks = max(1, -(-plain_bytes // CHUNK_BYTES))
    return plain_bytes + chunks * TAG_BYTES


def _fits(index: int, plain_bytes: int, last: bool) -> bool:
    if not last:
        return plain_bytes == CHUNK_BYTES
    return 0 < plain_bytes <= CHUNK_BYTES or (plain_bytes == 0 and index == 0)


def _nonce(index: int, last: bool) -> bytes:
    return (index << 8 | last).to_bytes(12, "big")
