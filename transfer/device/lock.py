"""The lock of a device: one writer at a time (FORMAT.md §4, LOCK).

An advisory flock(2) that the kernel drops with the process, so that a dead agent never blocks a living one.
The file's text names the holder for the person who is refused; it is never trusted for anything else, and the
file is never deleted: a lock on a deleted file guards nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator

from transfer.core.paths import display
from transfer.device.disk import device_error
from transfer.device.layout import LOCK_NAME, Layout
from transfer.errors import LockedError

_MAX_HOLDER_BYTES = 200


@contextlib.contextmanager
def locked(layout: Layout, verb: str) -> Iterator[None]:
    """Hold the device's lock.

    Raises:
        LockedError: another live process holds it.
        DeviceError: the lock file cannot be made.
    """
    path = layout.at(LOCK_NAME)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise device_error(error, layout.root) from error
    try:
        _take(descriptor, layout)
        _sign(descriptor, verb)
        yield
        with contextlib.suppress(OSError):  # the work is done; the text alone would be stale
            os.truncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _take(descriptor: int, layout: Layout) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = display(os.pread(descriptor, _MAX_HOLDER_BYTES, 0)).strip() or "another process"
        raise LockedError(
            f"device {layout.root} is in use by {holder}", remedy="wait until it is done, or stop it"
        ) from None
    except OSError as error:
        raise device_error(error, layout.root) from error


def _sign(descriptor: int, verb: str) -> None:
    """Leave the holder's name; a full disk must not keep the lock from working."""
    with contextlib.suppress(OSError):
        os.truncate(descriptor, 0)
        holder = f"transfer {verb}, process {os.getpid()} on {socket.gethostname()}"
        os.pwrite(descriptor, holder.encode()[:_MAX_HOLDER_BYTES], 0)
