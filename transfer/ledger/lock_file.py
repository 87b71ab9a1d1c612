"""The lock of a ledger's file: one process at a time.

A flock(2) on a file beside it, which the kernel drops with the process. Beside it, because SQLite locks its
own file with fcntl(2), and those locks vanish when the process closes any other descriptor of the same file
(SQLite: "How To Corrupt An SQLite Database File", §2.2). The lock's text names the holder for people; the
file is never deleted: a lock on a deleted file guards nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator

from transfer.errors import LockedError
from transfer.ledger.failures import ledger_errors
from transfer.ledger.text import storable

SUFFIX = ".lock"
_MAX_HOLDER_BYTES = 200


def holder() -> str:
    """What this process calls itself, for whoever is refused."""
    return f"transfer, process {os.getpid()} on {socket.gethostname()}"


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
        _take(descriptor, path)
        # The lock itself needs no room on the disk: a full one may leave it without a name.
        with contextlib.suppress(OSError):
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, holder().encode()[:_MAX_HOLDER_BYTES], 0)
        yield
        with contextlib.suppress(OSError):
            os.truncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(descriptor, _MAX_HOLDER_BYTES, 0).decode(errors="replace").strip()
        raise LockedError(
            f"ledger {path} is in use by {storable(text) or 'another process'}",
            remedy="wait until it is done, or stop it",
        ) from None
    except OSError:
        with ledger_errors(path):
            raise
