"""A pack that is encrypted as it grows: the file of `transfer.device.pack_file` as an age file.

To go back to a place of before, all that stays is encrypted anew, under another key: to write other bytes
behind it with the old key would use a nonce twice, and give both away (RFC 8439 §4).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence

from blake3 import blake3

from transfer.device.pack_file import PackFile, Place
from transfer.errors import IntegrityError
from transfer.formats.age.keys import Recipient
from transfer.formats.age.stream import CHUNK_BYTES, STORED_CHUNK_BYTES, Payload, payload_bytes
from transfer.formats.age.writer import Encryptor
from transfer.formats.frames import Buffer


class EncryptedPackFile(PackFile):
    """The pack as an age file to some recipients.

    The content of the chunk that the pack ends in is kept: a write that failed may have lost it, and to
    encrypt anew it is needed. All chunks before it are on the disk.
    """

    def __init__(self, path: str, recipients: Sequence[Recipient]) -> None:
        super().__init__(path)
        self._recipients = recipients
        self._encryptor = Encryptor(recipients)
        self._head_bytes = len(self._encryptor.head)
        self._written = 0
        self._tail = b""
        self._is_stale = False
        """The encryptor has seen other bytes than those that the pack is to hold."""

    def stored_bytes(self, size_bytes: int) -> int:
        """As `PackFile` says."""
        return self._head_bytes + payload_bytes(size_bytes)

    def append(self, content: Buffer) -> None:
        """As `PackFile` says."""
        self._begin_anew_if_stale()
        self._is_stale = True  # unless all of it gets there
        self._put(self._encryptor.update(content))
        self._is_stale = False
        self._keep_tail(content)
        self.size_bytes += len(content)

    def place(self) -> Place:
        """As `PackFile` says."""
        return Place(self.size_bytes)

    def go_back(self, place: Place) -> None:
        """As `PackFile` says; what stays is encrypted anew before anything follows it."""
        size, start = place.size_bytes, _start_of_tail(place.size_bytes)
        if size == self.size_bytes:
            return
        if start < _start_of_tail(self.size_bytes):
            self._tail = self._stored_chunk(start // CHUNK_BYTES)
        self._tail = self._tail[: size - start]
        self.size_bytes, self._is_stale = size, True

    def end(self) -> int:
        """As `PackFile` says."""
        self._begin_anew_if_stale()
        self._is_stale = True  # its last chunk is the last one: nothing can follow under this key
        self._put([self._encryptor.finish()])
        return self._written

    def _put(self, blocks: Sequence[bytes]) -> None:
        block = b"".join(blocks if self._written else [self._encryptor.head, *blocks])
        self._written = self._write(block, self._written)
        self._hasher.update(block)

    def _begin_anew_if_stale(self) -> None:
        """Encrypt what stays once more, in its place, under a new key.

        A chunk is read before the one ahead of it is written: the encryptor keeps the last one back.
        """
        if not self._is_stale:
            return
        content = self._content(self._encryptor.payload)
        self._encryptor, self._hasher = Encryptor(self._recipients), blake3()
        self._written = self._flushed = 0
        self.is_broken = True  # half one key and half the other, until all is done
        for chunk in content:
            self._put(self._encryptor.update(chunk))
        self.is_broken = self._is_stale = False

    def _content(self, payload: Payload) -> Iterator[bytes]:
        for index in range(_start_of_tail(self.size_bytes) // CHUNK_BYTES):
            yield self._stored_chunk(index, payload)
        yield self._tail

    def _stored_chunk(self, index: int, payload: Payload | None = None) -> bytes:
        """A chunk that was written; the pack is broken when the disk does not give it back."""
        offset = self._head_bytes + index * STORED_CHUNK_BYTES
        was_broken, self.is_broken = self.is_broken, True
        stored = os.pread(self._descriptor, STORED_CHUNK_BYTES, offset)
        try:
            content = (payload or self._encryptor.payload).open(index, stored, last=False)
        except IntegrityError:
            raise OSError(errno.EIO, "it does not give back what was written to it") from None
        self.is_broken = was_broken
        return content

    def _keep_tail(self, content: Buffer) -> None:
        """Keep what the last chunk holds once `content` is behind what is there."""
        size = self.size_bytes + len(content)
        wanted = size - _start_of_tail(size)
        if len(content) >= wanted:
            self._tail = bytes(memoryview(content)[len(content) - wanted :])
        else:
            self._tail = (self._tail + bytes(content))[-wanted:]


def _start_of_tail(size_bytes: int) -> int:
    """Where the chunk begins that a pack of this size ends in; a full one ends at its border."""
    return max(0, size_bytes - 1) // CHUNK_BYTES * CHUNK_BYTES
