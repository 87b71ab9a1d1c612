"""The entry of a job in a device's custody log."""

from __future__ import annotations

from transfer.device.custody import append_entry
from transfer.device.device import Device
from transfer.device.disk import device_errors
from transfer.device.reserve import remove_reserve
from transfer.errors import DeviceFullError


def tell_custody(device: Device, who: str) -> None:
    """Say in the custody log that a copy has ended which brought something.

    Raises:
        DeviceError: it cannot be written.
    """
    try:
        append_entry(device.layout, "copied", who=who)
    except DeviceFullError:  # the ballast is for what has to be written when nothing else fits
        with device_errors(device.root):
            remove_reserve(device)
        append_entry(device.layout, "copied", who=who)
