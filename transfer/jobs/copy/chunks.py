"""Sums and frames of chunks, computed in threads: all native code that releases the interpreter lock.

Buffers are few and reused: memory does not depend on the file, and a source that is faster than the compressors waits for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from awscrt.checksums import combine_crc32c, combine_crc64nvme, crc32c, crc64nvme
from blake3 import blake3

from transfer.formats.frames import Buffer, FrameCompressor

_ZERO_SIZES = 8

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
        self.crc64nvme = combine_crc64nvme(self.crc64nvme, sums.crc64nvme, size)
        self.crc32c = combine_crc32c(self.crc32c, sums.crc32c, size)
        self.chunks += 1
        self.bytes += size


class ChunkCoder:
    """One reading thread, `workers` computing threads, `workers` + 2 buffers."""

    def __init__(self, *, workers: int, chunk_size_bytes: int, level: int) -> None:
        self.chunk_size_bytes = chunk_size_bytes
        self._level = level
        self._compute = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="chunk")
        self._read = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read")
        self._compressors: list[FrameCompressor] = []
        self._buffers: list[bytearray] = []
        self._free = asyncio.Semaphore(workers + 2)
        self._zeros: dict[int, tuple[bytes, ChunkSums]] = {}

    async def in_reader(self, function: Callable[[], Result]) -> Result:
        """Run a blocking call in the thread that reads the source."""
        return await asyncio.get_running_loop().run_in_executor(self._read, function)

    async def buffer(self) -> bytearray:
        """A chunk-sized buffer, as soon as one is free."""
        await self._free.acquire()
        return self._buffers.pop() if self._buffers else bytearray(self.chunk_size_bytes)

    def give_back(self, buffer: bytearray) -> None:
        """Return a buffer."""
        self._buffers.append(buffer)
        self._free.release()

    def encode(self, content: Buffer, buffer: bytearray) -> asyncio.Future[tuple[bytes, ChunkSums]]:
        """A chunk's frame and sums; `buffer`, which holds the content, is given back when they are made."""
        future = asyncio.get_running_loop().run_in_executor(self._compute, self._encode, content)
        future.add_done_callback(lambda _: self.give_back(buffer))
        return future

    def _encode(self, content: Buffer) -> tuple[bytes, ChunkSums]:
        sums = ChunkSums(blake3(content).hexdigest(), crc64nvme(content), crc32c(content))
        compressor = self._compressors.pop() if self._compressors else FrameCompressor(self._level)
        stored = compressor.compress(content)
        self._compressors.append(compressor)
        return stored, sums

    def zeros(self, size: int) -> tuple[bytes, ChunkSums]:
        """Frame and sums of `size` zero bytes; made once for each size."""
        if size not in self._zeros:
            if len(self._zeros) >= _ZERO_SIZES:
                self._zeros.clear()
            self._zeros[size] = self._encode(bytes(size))
        return self._zeros[size]

    def close(self) -> None:
        """Stop the threads."""
        self._read.shutdown(wait=True, cancel_futures=True)
        self._compute.shutdown(wait=True, cancel_futures=True)
