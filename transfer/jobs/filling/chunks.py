"""Sums and frames of chunks, computed in threads: all native code that releases the interpreter lock.

At most `workers` + 2 chunks are on their way at once, from before they are read until the writer has taken
their
frames: memory does not depend on the file, and a source that is faster than the device waits for it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from blake3 import blake3

from transfer.formats.frames import Buffer, FrameCompressor

_KEPT_SIZES = 8

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ChunkSums:
    """The three sums of one chunk."""

    blake3: str
    crc64nvme: int
    crc32c: int


@dataclass(slots=True)
class RunningSums:
    """What the chunks so far add up to."""

    chunks: int = 0
    bytes: int = 0
    crc64nvme: int = 0
    crc32c: int = 0

    def add(self, sums: ChunkSums, size: int) -> None:
        """Take the next chunk."""
        from awscrt.checksums import combine_crc32c, combine_crc64nvme  # noqa: PLC0415  (start-up time)

        self.crc64nvme = combine_crc64nvme(self.crc64nvme, sums.crc64nvme, size)
        self.crc32c = combine_crc32c(self.crc32c, sums.crc32c, size)
        self.chunks += 1
        self.bytes += size


class ZeroFrames:
    """Frames and sums of zero bytes: holes, padding, fillings. Made once for each size."""

    def __init__(self, *, largest_bytes: int, level: int) -> None:
        self.largest_bytes = largest_bytes
        self._level = level
        self._content = bytes(largest_bytes)
        self._made: dict[int, tuple[bytes, ChunkSums]] = {}

    def content(self, size: int) -> memoryview:
        """`size` zero bytes, at most `largest_bytes`."""
        return memoryview(self._content)[:size]

    def coded(self, size: int) -> tuple[bytes, ChunkSums]:
        """Frame and sums of `size` zero bytes."""
        if size not in self._made:
            if len(self._made) >= _KEPT_SIZES:
                self._made.clear()
            self._made[size] = _encode(self.content(size), FrameCompressor(self._level))
        return self._made[size]


class ChunkCoder:
    """One reading thread, `workers` computing threads, `room` or else `workers` + 2 chunks at a time."""

    def __init__(self, *, workers: int, chunk_size_bytes: int, level: int, room: int = 0) -> None:
        self.chunk_size_bytes = chunk_size_bytes
        self.zeros = ZeroFrames(largest_bytes=chunk_size_bytes, level=level)
        self._level = level
        self._compute = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="chunk")
        self._read = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read")
        self._compressors: list[FrameCompressor] = []
        self._buffers: list[bytearray] = []
        self._room = asyncio.Semaphore(room or workers + 2)

    async def in_reader(self, function: Callable[[], Result]) -> Result:
        """Run a blocking call in the thread that reads the source."""
        return await asyncio.get_running_loop().run_in_executor(self._read, function)

    def close_behind(self, descriptor: int) -> None:
        """Close a file when the reading thread is done with it, however this came to an end."""
        self._read.submit(os.close, descriptor)

    async def buffer(self) -> bytearray:
        """A chunk-sized buffer, as soon as there is room for one more chunk."""
        await self._room.acquire()
        return self._buffers.pop() if self._buffers else bytearray(self.chunk_size_bytes)

    def give_back(self, buffer: bytearray) -> None:
        """Return a buffer that was not encoded."""
        self._buffers.append(buffer)
        self._room.release()

    def encode(self, content: Buffer, buffer: bytearray) -> asyncio.Future[tuple[bytes, ChunkSums]]:
        """A chunk's frame and sums; `buffer`, which holds the content, is taken back when they are made.

        Whoever awaits the frame says `taken` afterwards.
        """
        future = asyncio.get_running_loop().run_in_executor(self._compute, self._encode, content)
        future.add_done_callback(lambda _: self._buffers.append(buffer))
        return future

    def taken(self) -> None:
        """A frame is in the writer's hands: there is room for one more chunk."""
        self._room.release()

    def _encode(self, content: Buffer) -> tuple[bytes, ChunkSums]:
        compressor = self._compressors.pop() if self._compressors else FrameCompressor(self._level)
        coded = _encode(content, compressor)
        self._compressors.append(compressor)
        return coded

    def close(self) -> None:
        """Stop the threads."""
        self._read.shutdown(wait=True)
        self._compute.shutdown(wait=True, cancel_futures=True)


def _encode(content: Buffer, compressor: FrameCompressor) -> tuple[bytes, ChunkSums]:
    from awscrt.checksums import crc32c, crc64nvme  # noqa: PLC0415  (start-up time)

    # The functions of awscrt take any buffer, whatever their annotations say.
    crc64, crc32 = crc64nvme(content), crc32c(content)  # type: ignore[arg-type]
    sums = ChunkSums(blake3(content).hexdigest(), crc64, crc32)
    return compressor.compress(content), sums
