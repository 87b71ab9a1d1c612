"""Reading stored files as the disk has them, past the page cache.

A copy that was just written would otherwise be checked against memory. O_DIRECT where the file system has it;
elsewhere the cached pages are dropped first. One thread reads ahead while another hashes; memory is two
blocks.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from blake3 import blake3

from transfer.errors import FormatError

BLOCK_BYTES = 4 << 20
_NO_DIRECT = frozenset({errno.EINVAL, errno.ENOTSUP})


def open_past_cache(path: str, *, direct: bool = True) -> tuple[int, bool]:
    """A descriptor for reading from the disk itself, and whether it is an O_DIRECT one.

    Args:
        path: the file.
        direct: try O_DIRECT, for reads of whole blocks; else only drop what is cached of the file.

    Raises:
        FormatError: it is not a regular file.
        OSError: it cannot be opened.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    o_direct = getattr(os, "O_DIRECT", 0) if direct else 0
    try:
        descriptor = os.open(path, flags | o_direct)
    except OSError as error:
        if not o_direct or error.errno not in _NO_DIRECT:
            raise
        descriptor, o_direct = os.open(path, flags), 0
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FormatError(f"{path} is not a regular file", remedy="do not trust this device")
    if not o_direct:
        _forget_cached(descriptor)
    return descriptor, bool(o_direct)


def _forget_cached(descriptor: int) -> None:
    """Only advice: where there is none to give, reading works all the same."""
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)


class DigestReader:
    """Computes digests of stored files; belongs to one thread at a time. `threads` hash at once."""

    def __init__(self, threads: int = 1) -> None:
        self._blocks = [mmap.mmap(-1, BLOCK_BYTES) for _ in range(2)]
        self._ahead = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read")
        self._threads = threads

    def close(self) -> None:
        """Stop the reading thread."""
        self._ahead.shutdown(wait=True)

    def digest(self, path: str, on_bytes: Callable[[int], None]) -> tuple[int, str]:
        """Size and BLAKE3 of a file; `on_bytes` is told of every block.

        Raises:
            OSError: it cannot be read.
        """
        hasher, size = blake3(max_threads=self._threads), 0
        for block in self._read(path):
            hasher.update(block)
            size += len(block)
            on_bytes(len(block))
        return size, hasher.hexdigest()

    def _read(self, path: str) -> Iterator[memoryview]:
        descriptor, direct = open_past_cache(path)
        try:
            offset, turn = 0, 0
            pending = self._ahead.submit(_fill, descriptor, self._blocks[turn], offset)
            while True:
                try:
                    count = pending.result()
                except OSError as error:
                    if not direct or error.errno not in _NO_DIRECT:
                        raise
                    direct = _leave_direct(descriptor)
                    count = _fill(descriptor, self._blocks[turn], offset)
                if not count:
                    return
                block = memoryview(self._blocks[turn])[:count]
                offset, turn = offset + count, 1 - turn
                pending = self._ahead.submit(_fill, descriptor, self._blocks[turn], offset)
                yield block
        finally:
            if not pending.cancel():
                pending.exception()  # the descriptor must outlive the read
            os.close(descriptor)


def _fill(descriptor: int, block: mmap.mmap, offset: int) -> int:
    return os.preadv(descriptor, [block], offset)


def _leave_direct(descriptor: int) -> bool:
    """Some file systems take O_DIRECT at open and refuse it at read."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~os.O_DIRECT)
    _forget_cached(descriptor)
    return False
