"""One service on a dock: an flock(2), which the kernel drops with the process.

It is on DOCK/.serve.lock; where that cannot be made, as in a dock that is mounted read-only or is full, on
the dock's folder itself: two services see each other there as well, wherever each keeps its state. Where a
file system has no such locks at all there is none; the ledger's own lock still keeps two services from one
ledger.
"""

from __future__ import annotations

import errno
import os

from transfer.device.disk import FULL_ERRNOS
from transfer.device.holder import take
from transfer.errors import LockedError

LOCK_NAME = ".serve.lock"
_NOT_WRITABLE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, *FULL_ERRNOS})
# NFS locks nothing for writing that is open for reading only; other file systems have no locks.
_NO_LOCKS = frozenset({errno.EBADF, errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL})


def lock_dock(root: str) -> int | None:
    """Take the lock of a dock.

    Returns:
        the descriptor that holds it, to be closed at the end; None where the file system has no locks.

    Raises:
        LockedError: another service has it.
        OSError: the dock is gone.
    """
    descriptor = _open(root)
    try:
        other = take(descriptor, "serve")
    except OSError as error:
        os.close(descriptor)
        if error.errno in _NO_LOCKS:
            return None
        raise
    if other is not None:
        os.close(descriptor)
        raise LockedError(f"dock {root} is served by {other}", remedy="stop it first, or name another dock")
    return descriptor


def _open(root: str) -> int:
    path = os.path.join(root, LOCK_NAME)
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(path, flags | os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        if error.errno not in _NOT_WRITABLE:
            raise
    try:
        return os.open(path, flags | os.O_RDONLY)
    except OSError:
        return os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
