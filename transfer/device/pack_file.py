"""The stored file behind a pack that is being written.

Whoever appends counts in bytes of the pack; what they become on the disk, and the digest of that, is known
here. `transfer.device.encrypted_pack` has the other kind. Blocking; used from one thread.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass

from blake3 import blake3

from transfer.device.disk import create_new, start_writeback, write_at
from transfer.formats.frames import Buffer

FLUSH_BYTES = 64 << 20
"""Write-back is started in steps of this size, so that the last fsync of a pack finds little left to do."""


@dataclass(frozen=True)
class Place:
    """A place to go back to."""

    size_bytes: int
    hasher: blake3 | None = None


class PackFile(ABC):
    """A file that grows; made new at `path`.

    Attributes:
        size_bytes: of the pack so far, before any encryption.
        is_broken: what is on the disk is anybody's guess, and must not be committed.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, path: str) -> None:
        self.size_bytes = 0
        self.is_broken = False
        self._hasher = blake3()
        self._flushed = 0
        self._descriptor = create_new(path)

    @abstractmethod
    def stored_bytes(self, size_bytes: int) -> int:
        """What a pack of this size takes on the disk."""

    @abstractmethod
    def append(self, content: Buffer) -> None:
        """Write behind what is there.

        Raises:
            OSError: the disk refused; the pack is as it was, unless it is broken.
        """

    @abstractmethod
    def place(self) -> Place:
        """Where the file ends now."""

    @abstractmethod
    def go_back(self, place: Place) -> None:
        """Forget what came behind a place.

        Raises:
            OSError: the disk does not give back what is there; the pack is broken.
        """

    @abstractmethod
    def end(self) -> int:
        """Write what is still to come, and return the size of the stored file.

        Raises:
            OSError: the disk refused.
        """

    def cut(self, stored_bytes: int) -> None:
        """Drop what was written before going back.

        Raises:
            OSError: the disk refused.
        """
        if os.fstat(self._descriptor).st_size > stored_bytes:
            os.ftruncate(self._descriptor, stored_bytes)

    def sync(self) -> None:
        """Make the content durable.

        Raises:
            OSError: nobody knows what is on the disk.
        """
        try:
            os.fsync(self._descriptor)
        except OSError:
            self.is_broken = True
            raise
        start_writeback(self._descriptor, 0, 0)

    def digest(self) -> str:
        """BLAKE3 of the stored file."""
        return self._hasher.hexdigest()

    def close(self) -> None:
        """Give the file descriptor back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, content: Buffer, offset: int) -> int:
        """Write at a place; the offset behind it."""
        offset = write_at(self._descriptor, content, offset)
        if offset - self._flushed >= FLUSH_BYTES:
            start_writeback(self._descriptor, self._flushed, offset - self._flushed)
            self._flushed = offset
        return offset


class PlainPackFile(PackFile):
    """The bytes of the pack as they are."""

    def stored_bytes(self, size_bytes: int) -> int:
        """As `PackFile` says."""
        return size_bytes

    def append(self, content: Buffer) -> None:
        """As `PackFile` says."""
        self.size_bytes = self._write(content, self.size_bytes)
        self._hasher.update(content)

    def place(self) -> Place:
        """As `PackFile` says."""
        return Place(self.size_bytes, self._hasher.copy())

    def go_back(self, place: Place) -> None:
        """As `PackFile` says."""
        if place.hasher is not None:
            self.size_bytes, self._hasher = place.size_bytes, place.hasher.copy()

    def end(self) -> int:
        """As `PackFile` says."""
        return self.size_bytes
