"""Writes age files: a header for all recipients, then the payload as its bytes come.

Each `Encryptor` makes a file key of its own, which never leaves it, and is used up by `finish` or by a
failure: nothing can be sealed twice under one key and number. Memory is one chunk beyond what the caller
hands over.

Each chunk is sealed outside the GIL, in some 25 microseconds, and then waits for it: beside a thread that
computes in pure Python without a pause this is slow, beside one that reads, hashes or compresses it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from secrets import token_bytes

from transfer.errors import UsageError
from transfer.formats.age import x25519
from transfer.formats.age.header import MAX_HEADER_BYTES, encode_header
from transfer.formats.age.keys import Recipient
from transfer.formats.age.stream import CHUNK_BYTES, NONCE_BYTES, Buffer, Payload


class Encryptor:
    """One age file in the making; not for use by two threads at once.

    Args:
        recipients: who can read the file, one at least.

    Attributes:
        head: header and payload nonce; they come first in the file.
        payload: what seals the chunks.

    Raises:
        UsageError: no recipients, or so many that the header would be over 16 KiB.
    """

    def __init__(self, recipients: Sequence[Recipient]) -> None:
        if not recipients:
            raise UsageError("nothing can be encrypted to nobody", remedy="name a recipient")
        file_key = token_bytes(x25519.FILE_KEY_BYTES)
        header = encode_header([x25519.wrap(file_key, recipient) for recipient in recipients], file_key)
        if len(header) > MAX_HEADER_BYTES:
            raise UsageError(f"{len(recipients)} recipients are too many for one age file")
        nonce = token_bytes(NONCE_BYTES)
        self.head = header + nonce
        self.payload = Payload(file_key, nonce)
        self._index = 0
        self._held: bytearray | None = bytearray()

    def update(self, data: Buffer) -> list[bytes]:
        """The stored bytes of the chunks that are whole now, in order.

        A chunk, full or not, is kept back until there is something behind it, for the last is sealed as such.

        Raises:
            ValueError: the file is finished, or failed before.
        """
        held = self._take()
        view = memoryview(data).cast("B")
        start = min(len(view), CHUNK_BYTES - len(held)) if held else 0
        held += view[:start]
        sealed = []
        if start < len(view):
            if held:
                sealed.append(self._seal(held))
            end = len(view) - 1 - (len(view) - 1 - start) % CHUNK_BYTES
            sealed += [self._seal(view[at : at + CHUNK_BYTES]) for at in range(start, end, CHUNK_BYTES)]
            held = bytearray(view[end:])
        self._held = held
        return sealed

    def finish(self) -> bytes:
        """The stored bytes of the last chunk; the file ends with them.

        Raises:
            ValueError: the file is finished, or failed before.
        """
        return self.payload.seal(self._index, self._take(), last=True)

    def _seal(self, chunk: Buffer) -> bytes:
        sealed = self.payload.seal(self._index, chunk, last=False)
        self._index += 1
        return sealed

    def _take(self) -> bytearray:
        """What was kept back; it must be put back, so that a failure in between ends the file."""
        held, self._held = self._held, None
        if held is None:
            raise ValueError("this age file is finished or failed; nothing can be added to it")
        return held


def encrypt(plain: Buffer, recipients: Sequence[Recipient]) -> bytes:
    """A whole age file.

    Raises:
        UsageError: no recipients, or too many.
    """
    encryptor = Encryptor(recipients)
    return b"".join([encryptor.head, *encryptor.update(plain), encryptor.finish()])
