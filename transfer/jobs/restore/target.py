"""The directory that is restored into: opened for one restore at a time, synced at the end."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transfer.errors import DeviceError, LockedError, UsageError


@dataclass(frozen=True)
class Target:
    """Where a job writes.

    Attributes:
        descriptor: of the folder that entries go to.
        lock: that holds the lock; of the directory that was named.
        directory: its name.
        mark: of the job, in names of unfinished files.
    """

    descriptor: int
    lock: int
    directory: str
    mark: str


LOCK_TIMEOUT_S = 3.0
"""The workers of a restore that was killed end by themselves, a moment later."""
_LOCK_STEP_S = 0.05
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.EBADF)


@contextlib.contextmanager
def opened_directory(directory: str, roots: Sequence[str]) -> Iterator[int]:
    """A descriptor of the directory, which no other restore has meanwhile.

    Args:
        directory: which.
        roots: of the devices.

    Raises:
        UsageError: it is none, or lies on a device.
        LockedError: another restore works in it.
    """
    try:
        descriptor = os.open(os.fsencode(directory), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        remedy = "name a directory that exists and may be written to"
        raise UsageError(f"cannot restore into {directory}: {error.strerror}", remedy=remedy) from None
    try:
        for root in roots:
            _refuse_own_device(directory, root)
        _lock(descriptor, directory)
        yield descriptor
    finally:
        os.close(descriptor)


def sync(descriptor: int, directory: str) -> None:
    """Have the file system of the directory write out all that it holds.

    Raises:
        DeviceError: it could not.
    """
    if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
        reason = os.strerror(ctypes.get_errno())
        what = f"{directory} could not be written out to its disk: {reason}"
        raise DeviceError(what, remedy="check the disk, and restore into an empty directory")


def _refuse_own_device(directory: str, root: str) -> None:
    target, device = os.path.realpath(os.fsencode(directory)), os.path.realpath(os.fsencode(root))
    if target == device or target.startswith(device.rstrip(b"/") + b"/"):
        what = f"{directory} lies on the device itself"
        raise UsageError(what, remedy="name a directory somewhere else")


def _lock(descriptor: int, directory: str) -> None:
    end = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                what = f"another restore works in {directory}"
                raise LockedError(what, remedy="wait until it has ended") from None
            time.sleep(_LOCK_STEP_S)
        except OSError as error:
            if error.errno not in _NO_LOCKS:  # else a file system without locks
                raise
            return
        else:
            return
