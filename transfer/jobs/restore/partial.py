"""A file on its way: written aside, beside its place, and named when it is whole.

The name it has meanwhile is made new and opened so that nothing that is there is written to, link or file.
Blocks of zeros are left out while writing; a file that had no holes gets its room at the end.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from transfer.device.disk import set_room_aside, write_at
from transfer.jobs.restore.metadata import Told, set_metadata

_BLOCK_BYTES = 64 << 10
_SMALL_BLOCK_BYTES = 4 << 10
_MAX_PIECES = 256
"""At once; systems take 1,024 and more."""
_ZEROS = bytes(_BLOCK_BYTES)
FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Partial:
    """A new file without its name.

    Args:
        folder: a descriptor of the folder that it is to be in; copied, so it may be closed.
        name: that it has meanwhile.
    """

    def __init__(self, folder: int, name: bytes) -> None:
        self.name = name
        self._folder = os.dup(folder)
        self._has_holes = False
        try:
            self._descriptor = os.open(self.name, FILE_FLAGS, 0o600, dir_fd=self._folder)
        except BaseException:
            os.close(self._folder)
            raise

    def write(self, content: memoryview, offset: int) -> None:
        """Write all of `content`.

        Raises:
            OSError: the disk refused.
        """
        write_at(self._descriptor, content, offset)

    def write_all(self, pieces: Sequence[memoryview], offset: int) -> None:
        """Write all of them, one behind the other.

        Raises:
            OSError: the disk refused.
        """
        for start in range(0, len(pieces), _MAX_PIECES):
            group = pieces[start : start + _MAX_PIECES]
            size = sum(map(len, group))
            written = os.pwritev(self._descriptor, group, offset) if hasattr(os, "pwritev") else 0
            if written < size:  # by a signal, or because the disk is full, which the next call says
                write_at(self._descriptor, b"".join(group)[written:], offset + written)
            offset += size

    def write_around_holes(self, content: memoryview, offset: int) -> None:
        """Write `content` but for its blocks of zeros.

        Raises:
            OSError: the disk refused.
        """
        block = _BLOCK_BYTES if len(content) > _BLOCK_BYTES else _SMALL_BLOCK_BYTES
        start = 0  # of what is to be written
        for at in range(0, len(content), block):
            piece = content[at : at + block]
            if piece[0] or piece[-1] or bytes(piece) != _ZEROS[: len(piece)]:
                continue
            self._has_holes = True
            if at > start:
                write_at(self._descriptor, content[start:at], offset + start)
            start = at + len(piece)
        if start < len(content):
            write_at(self._descriptor, content[start:], offset + start)

    def finish(self, name: bytes, record: Told, size_bytes: int, *, sparse: bool, owner: bool) -> list[str]:
        """Give it its metadata and its name; what of the metadata could not be set.

        Raises:
            OSError: the disk refused, or a folder has the name.
        """
        if self._has_holes:
            os.ftruncate(self._descriptor, size_bytes)
            if not sparse:
                set_room_aside(self._descriptor, size_bytes)
        problems = set_metadata(self._descriptor, record, sets_owner=owner)
        place(self.name, name, self._folder)
        self.close()
        return problems

    def drop(self) -> None:
        """Give it up."""
        with contextlib.suppress(OSError):
            os.unlink(self.name, dir_fd=self._folder)
        self.close()

    def close(self) -> None:
        """Close it as it is."""
        for descriptor in (self._descriptor, self._folder):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._folder = -1

    @property
    def folder(self) -> int:
        """The descriptor of its folder."""
        return self._folder


def place(partial: bytes, name: bytes, folder: int) -> None:
    """Rename within a folder; an empty folder of that name makes room, whoever asks has seen to that.

    Raises:
        OSError: the disk refused, or the folder is not empty.
    """
    try:
        os.rename(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
    except IsADirectoryError:
        os.rmdir(name, dir_fd=folder)
        os.rename(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
