"""The lock of a device: one writer at a time (FORMAT.md §4, LOCK)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from transfer.device.disk import device_error
from transfer.device.holder import forget, take
from transfer.device.layout import LOCK_NAME, Layout
from transfer.errors import LockedError


@contextlib.contextmanager
def locked(layout: Layout, verb: str) -> Iterator[None]:
    """Hold the device's lock.

    Raises:
        LockedError: another live process holds it.
        DeviceError: the lock file cannot be made.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(layout.at(LOCK_NAME), flags, 0o644)
    except OSError as error:
        raise device_error(error, layout.root) from error
    try:
        _take(descriptor, layout, verb)
        yield
        forget(descriptor)
    finally:
        os.close(descriptor)


def _take(descriptor: int, layout: Layout, verb: str) -> None:
    try:
        other = take(descriptor, verb)
    except OSError as error:
        raise device_error(error, layout.root) from error
    if other is not None:
        raise LockedError(
            f"device {layout.root} is in use by {other}", remedy="wait until it is done, or stop it"
        )
