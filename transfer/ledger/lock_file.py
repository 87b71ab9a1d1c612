"""The lock of a ledger's file: one process at a time.

A flock(2) on a file beside it, which the kernel drops with the process. Beside it, because SQLite locks its
own file with fcntl(2), and those locks vanish when the process closes any other descriptor of the same file
(SQLite: "How To Corrupt An SQLite Database File", §2.2).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from transfer.device.holder import forget, take
from transfer.errors import LockedError
from transfer.ledger.failures import ledger_errors

SUFFIX = ".lock"


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """Hold the lock of the ledger at `path`.

    Raises:
        LockedError: another process, or another part of this one, holds it.
        TransferError: the lock's file cannot be made.
    """
    with ledger_errors(path):
        descriptor = os.open(path + SUFFIX, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with ledger_errors(path):
            other = take(descriptor)
        if other is not None:
            raise LockedError(
                f"ledger {path} is in use by {other}", remedy="wait until it is done, or stop it"
            )
        yield
        forget(descriptor)
    finally:
        os.close(descriptor)
