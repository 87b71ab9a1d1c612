"""The ballast of a device, RESERVE (FORMAT.md §4): room that is kept so that the last segment and the seal
still fit on a full disk.
"""

from __future__ import annotations

import contextlib
import os

from transfer.device.device import Device
from transfer.device.disk import device_errors, set_room_aside
from transfer.device.layout import RESERVE_NAME

RESERVE_BYTES = 32 << 20
LEAST_RESERVE_BYTES = 64 << 10


def make_reserve(device: Device) -> None:
    """Set ballast aside, so that a full disk still takes the last segment and the seal (FORMAT.md §4,
    RESERVE).

    Raises:
        DeviceFullError: there is not even room for that.
    """
    path = device.layout.at(RESERVE_NAME)
    with device_errors(device.root):
        status = os.statvfs(device.root)
        wanted = max(LEAST_RESERVE_BYTES, min(RESERVE_BYTES, status.f_frsize * status.f_blocks // 16))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            if os.fstat(descriptor).st_size < wanted:
                set_room_aside(descriptor, wanted)
        finally:
            os.close(descriptor)


def remove_reserve(device: Device) -> None:
    """Give the ballast back."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(device.layout.at(RESERVE_NAME))
