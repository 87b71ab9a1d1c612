"""Taking back the last packs of a run that has not ended (FORMAT.md §13): segments first, from the last one
on, so that whatever is left at any moment is a device in the state of an earlier commit.
"""

from __future__ import annotations

import contextlib
import os

from transfer.device.device import Device
from transfer.device.disk import device_errors, sync_directory


def take_back(device: Device, first: int, last: int) -> None:
    """Delete the packs `first` to `last`, which are the last ones.

    Raises:
        DeviceError: the disk failed; fewer may be deleted.
    """
    layout, numbers = device.layout, range(last, first - 1, -1)
    with device_errors(device.root):
        for folder, place in ((layout.segments, layout.segment), (layout.packs, layout.pack)):
            for number in numbers:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(place(number))
                sync_directory(folder)
