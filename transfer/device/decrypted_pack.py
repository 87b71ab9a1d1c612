"""An encrypted pack, decrypted as it is read: the other kind of `transfer.device.pack_source`.

A chunk that does not open costs what stands in it and nothing else: its bytes are lost, those behind it stand
where they stood.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from transfer.device.pack_source import READ_BYTES, PackSource
from transfer.errors import IntegrityError
from transfer.formats.age.keys import Identity
from transfer.formats.age.reader import MAX_HEAD_BYTES, open_head
from transfer.formats.age.stream import CHUNK_BYTES, STORED_CHUNK_BYTES, TAG_BYTES

_BLOCK_CHUNKS = READ_BYTES // STORED_CHUNK_BYTES


class DecryptedSource(PackSource):
    """The plain bytes of a pack that is an age file.

    Raises:
        AccessError: it is not encrypted to any of the identities.
        FormatError, IntegrityError: it does not begin as an age file does.
        OSError: the disk failed.
    """

    def __init__(self, descriptor: int, identities: Sequence[Identity]) -> None:
        super().__init__(descriptor)
        head = open_head(os.pread(descriptor, MAX_HEAD_BYTES, 0), identities)
        self._payload = head.payload
        self._head_bytes = head.size_bytes
        self._stored_size = os.fstat(descriptor).st_size
        self._read(head.size_bytes)
        self._index = 0
        self._skip = 0
        self._ahead = memoryview(b"")
        self._damage_ahead = ""
        """What is wrong with the chunk that the bytes ahead are of."""

    def take(self, size: int) -> bytes:
        """As `PackSource` says."""
        first, self._ahead = self._ahead[:size], self._ahead[size:]
        pieces: list[bytes | memoryview] = [first] if first else []
        missing, damage = size - len(first), self._damage_ahead if first else ""
        while missing > 0 and self.stored_offset < self._stored_size:
            chunks, problems = self._open_block(-(-(missing + self._skip) // CHUNK_BYTES))
            damage = damage or next(filter(None, problems), "")
            self._damage_ahead = problems[-1] if problems else ""
            block = memoryview(b"".join(chunks))[self._skip :]
            self._skip = 0
            pieces.append(block[:missing])
            self._ahead = block[missing:]
            missing -= len(pieces[-1])
        if damage:
            raise IntegrityError(damage)
        return b"".join(pieces)

    def go_to(self, offset: int) -> None:
        """As `PackSource` says."""
        self._is_in_order = False
        self._index, self._skip = divmod(offset, CHUNK_BYTES)
        self.stored_offset = self._head_bytes + self._index * STORED_CHUNK_BYTES
        self._ahead = memoryview(b"")

    def _open_block(self, count: int) -> tuple[list[bytes], list[str]]:
        """The next chunks, up to so many, and what is wrong with each; one that is lost is all zeros."""
        stored = memoryview(self._read(min(count, _BLOCK_CHUNKS) * STORED_CHUNK_BYTES))
        ended = not stored or self.stored_offset >= self._stored_size
        if not stored:  # it became shorter while it was read
            self._stored_size = self.stored_offset
        chunks, problems = [], []
        for start in range(0, len(stored), STORED_CHUNK_BYTES):
            chunk = stored[start : start + STORED_CHUNK_BYTES]
            last = ended and start + STORED_CHUNK_BYTES >= len(stored)
            try:
                chunks.append(self._payload.open(self._index, chunk, last=last))
                problems.append("")
            except IntegrityError as error:
                chunks.append(bytes(max(0, len(chunk) - TAG_BYTES)))
                problems.append(error.what)
            self._index += 1
        return chunks, problems
