"""How far the content of a folder can be compressed, from a little of it.

Blocks are taken at even distances over all bytes, as if the files were one, so that each kind of file counts
by its bytes. The distance doubles, and every other block is let go, whenever there are too many: flat memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from msgspec import Struct

from transfer.core.paths import parent
from transfer.formats.frames import FrameCompressor
from transfer.jobs.copy.beneath import Beneath

BLOCK_BYTES = 256 << 10
MAX_BLOCKS = 256
_FRAME_BYTES = 4 << 20  # compressed at a time, as small files are


class Sampled(Struct):
    """What was found.

    Attributes:
        blocks: that were read.
        bytes: in them.
        stored_bytes: of these, compressed at the profile's level.
        unreadable: blocks that could not be read.
    """

    blocks: int = 0
    bytes: int = 0
    stored_bytes: int = 0
    unreadable: int = 0

    @property
    def part(self) -> float:
        """What is left of a byte; 1 where nothing was read, or nothing gained."""
        return min(1.0, self.stored_bytes / self.bytes) if self.bytes else 1.0


class SamplePoints:
    """Where the blocks are: path, and offset in the file.

    Args:
        limit: how many there are at most; even.
        distance_bytes: between two of them at first.
    """

    def __init__(self, limit: int = MAX_BLOCKS, distance_bytes: int = BLOCK_BYTES) -> None:
        self.points: list[tuple[bytes, int]] = []
        self._limit = limit
        self._distance = distance_bytes
        self._seen = 0
        self._next = 0

    def add(self, path: bytes, size_bytes: int) -> None:
        """Pass over a file."""
        end = self._seen + size_bytes
        while self._next < end:
            self.points.append((path, self._next - self._seen))
            if len(self.points) > self._limit:
                self.points = self.points[::2]  # the last one stays, as their number was odd
                self._distance *= 2
            self._next += self._distance
        self._seen = end


def compress_sample(
    source: bytes, points: list[tuple[bytes, int]], level: int, *, follow_links: bool
) -> Iterator[Sampled]:
    """Read the blocks and compress them; gives what was found so far, again and again."""
    found, compressor, pending = Sampled(), FrameCompressor(level), bytearray()
    with Beneath(source, follow_links=follow_links) as folders:
        for path, offset in points:
            try:
                block = _read(folders, path, offset, follow_links=follow_links)
            except OSError:
                found.unreadable += 1
                continue
            found.blocks += 1
            found.bytes += len(block)
            pending += block
            if len(pending) >= _FRAME_BYTES:
                found.stored_bytes += len(compressor.compress(pending))
                pending.clear()
                yield found
    if pending:
        found.stored_bytes += len(compressor.compress(pending))
    yield found


def _read(folders: Beneath, path: bytes, offset: int, *, follow_links: bool) -> bytes:
    folder = parent(path)
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow_links else os.O_NOFOLLOW)
    descriptor = os.open(path[len(folder) :], flags, dir_fd=folders.folder(folder))
    try:
        return os.pread(descriptor, BLOCK_BYTES, offset)
    finally:
        os.close(descriptor)
