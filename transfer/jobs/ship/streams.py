"""The bytes of one file to another, by the kernel where it can.

copy_file_range(2) moves them without leaving the kernel, or shares the blocks where the file system can;
sendfile(2) does it between file systems that have nothing in common; reading and writing always works.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Final

from transfer.device.disk import start_writeback

BLOCK_BYTES: Final = 16 << 20

_WRITEBACK_BYTES: Final = 64 << 20
# How systems say that a call is not for these files: the next way is tried from where this one stopped.
_NOT_HERE: Final = frozenset(
    {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSOCK, errno.EPERM}
)

_Move = Callable[[int, int, int, int], int]


def copy_bytes(source: int, target: int, size: int, on_bytes: Callable[[int], None]) -> int:
    """Copy the first `size` bytes between two descriptors; `on_bytes` hears of every block, and may raise.

    Returns:
        How many there were: fewer than `size` where the source ends before.

    Raises:
        OSError: one of the disks failed.
    """
    offset = 0
    for move in (_by_copy_file_range, _by_sendfile, _by_reading):
        try:
            # A call that moves nothing may be one that cannot here: some file systems say it so.
            while offset < size and (count := move(source, target, offset, min(BLOCK_BYTES, size - offset))):
                offset += count
                if offset % _WRITEBACK_BYTES < count:
                    start_writeback(target, 0, 0)
                on_bytes(count)
        except OSError as error:
            if error.errno not in _NOT_HERE or move is _by_reading:
                raise
    return offset


def _by_copy_file_range(source: int, target: int, offset: int, size: int) -> int:
    if not hasattr(os, "copy_file_range"):
        return 0
    return os.copy_file_range(source, target, size, offset, offset)


def _by_sendfile(source: int, target: int, offset: int, size: int) -> int:
    os.lseek(target, offset, os.SEEK_SET)
    return os.sendfile(target, source, offset, size)


def _by_reading(source: int, target: int, offset: int, size: int) -> int:
    block = os.pread(source, min(size, 1 << 20), offset)
    return os.pwrite(target, block, offset) if block else 0
