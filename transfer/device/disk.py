"""Durable writes on a device's disk, in the order of FORMAT.md §13, and what its errors mean.

A file gets its name only after its blocks are on the disk, and the name is durable before anything relies on it. An error of
fsync is final for that file: it is never called again on the same data.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from transfer.device.layout import PARTIAL_SUFFIX
from transfer.errors import DeviceError, DeviceFullError, TransferError

FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})


def write_durably(path: str, content: bytes) -> None:
    """Put a whole file in place: written aside, synced, renamed, its directory synced."""
    partial = path + PARTIAL_SUFFIX
    with open(partial, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.rename(partial, path)
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
        return DeviceError(f"device {root} may not be used: {reason}", remedy="check the owner and mode of its files")
    if not os.path.isdir(root):
        return DeviceError(f"device {root} is gone: {reason}", remedy="connect and mount it, then give the same command again")
    where = f" at {os.fsdecode(error.filename)}" if error.filename else ""
    return DeviceError(f"device {root} failed{where}: {reason}", remedy="check its connection and health, then give the same command again")
