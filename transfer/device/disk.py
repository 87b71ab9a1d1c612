"""Durable writes on a device's disk, in the order of FORMAT.md §13, and what its errors mean.

A file gets its name only after its blocks are on the disk, and the name is durable before anything relies on
it. An error of
fsync is final for that file: it is never called again on the same data.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from transfer.device.layout import DEVICE_NAME, PARTIAL_SUFFIX
from transfer.errors import DeviceError, DeviceFullError, TransferError

FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})


def create_new(path: str, mode: int = 0o644) -> int:
    """A descriptor of a new, empty file for writing; whatever had its name before is unlinked, never opened.

    What lies on the device is hostile: a link left there could lead the writing off the device. And a file
    whose fsync failed must not be written again.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)


def write_at(descriptor: int, content: bytes | bytearray | memoryview, offset: int) -> int:
    """Write all of `content`, however many calls that takes; the offset behind it.

    Raises:
        OSError: the disk refused; some of it may be written.
    """
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
    return offset


def write_durably(path: str, content: bytes, *, mode: int = 0o644) -> None:
    """Put a whole file in place: written aside, synced, renamed, its directory synced.

    Raises:
        OSError: the disk refused. Nothing is left aside; `path` is as before, or (only its directory could
            not be synced) has the new content.
    """
    partial = path + PARTIAL_SUFFIX
    try:
        descriptor = create_new(partial, mode)
        try:
            write_at(descriptor, content, 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(partial, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise
    sync_directory(os.path.dirname(path))


def sync_directory(path: str) -> None:
    """Make the names in a directory durable (no-op where the file system has no such call)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot, and need not
            raise
    finally:
        os.close(descriptor)


def start_writeback(descriptor: int, offset: int, size: int) -> None:
    """Let the kernel begin to write a range now and forget it afterwards; size 0: to the end of the file.

    Only a hint: file systems and systems that do not know it lose nothing.
    """
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            os.posix_fadvise(descriptor, offset, size, os.POSIX_FADV_DONTNEED)


def set_room_aside(descriptor: int, size: int) -> None:
    """Let a file take up `size` bytes of the disk, where system and file system can do that.

    Raises:
        OSError: there is not so much room.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:  # drivers have many ways to say that they do not know the call
        if error.errno in FULL_ERRNOS:
            raise


def read_limited(path: str, limit_bytes: int) -> bytes:
    """A small file whole, but never more than one byte beyond the limit."""
    with open(path, "rb") as file:
        return file.read(limit_bytes + 1)


@contextlib.contextmanager
def device_errors(root: str) -> Iterator[None]:
    """Turn an OSError of the device's disk into an error that says what happened and what to do."""
    try:
        yield
    except OSError as error:
        raise device_error(error, root) from error


def device_error(error: OSError, root: str) -> TransferError:
    """The error of the product for an OSError met on the device at `root`."""
    reason = error.strerror or str(error)
    if error.errno in FULL_ERRNOS:
        return DeviceFullError(f"device {root} is full", remedy="seal it and continue on another device")
    if error.errno == errno.EROFS:
        return DeviceError(f"device {root} is mounted read-only", remedy="remount it for writing")
    if error.errno in (errno.EACCES, errno.EPERM):
        remedy = "check the owner and mode of its files"
        return DeviceError(f"device {root} may not be used: {reason}", remedy=remedy)
    if _is_gone(error, root):
        remedy = "connect and mount it, then give the same command again"
        return DeviceError(f"device {root} is gone: {reason}", remedy=remedy)
    where = f" at {os.fsdecode(error.filename)}" if error.filename else ""
    remedy = "check its connection and health, then give the same command again"
    return DeviceError(f"device {root} failed{where}: {reason}", remedy=remedy)


def _is_gone(error: OSError, root: str) -> bool:
    """Whether nothing is mounted there any more: an empty mount point is left, or not even that."""
    if not os.path.isdir(root):
        return True
    return error.errno == errno.ENOENT and not os.path.lexists(os.path.join(root, DEVICE_NAME))
