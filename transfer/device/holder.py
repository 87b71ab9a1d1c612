"""A lock that says who holds it: an flock(2) on an open file, with the holder's name as the file's text.

The kernel drops the lock with its process, so that a dead agent never blocks a living one. The text is for
the person who is refused; it is never trusted for anything else, and a disk that is full or read-only may
leave the lock without it. The file is never deleted: a lock on a deleted file guards nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket

from transfer.core.paths import display

_MAX_BYTES = 200


def holder(verb: str = "") -> str:
    """What this process calls itself; `verb` is the command that it carries out."""
    return f"transfer{' ' * bool(verb)}{verb}, process {os.getpid()} on {socket.gethostname()}"


def take(descriptor: int, verb: str = "") -> str | None:
    """Take the lock, at once or not at all.

    Returns:
        None: it is ours; else who has it.

    Raises:
        OSError: the file system has no such locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _name(descriptor)
    with contextlib.suppress(OSError):
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, holder(verb).encode()[:_MAX_BYTES], 0)
    return None


def forget(descriptor: int) -> None:
    """Take the name away, once the work is done; the file is closed next."""
    with contextlib.suppress(OSError):
        os.truncate(descriptor, 0)


def _name(descriptor: int) -> str:
    with contextlib.suppress(OSError):
        return display(os.pread(descriptor, _MAX_BYTES, 0)).strip() or "another process"
    return "another process"
