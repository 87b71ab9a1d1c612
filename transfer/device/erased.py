"""Devices that were erased: what ERASED.json says of them, and why nothing else can be done with them."""

from __future__ import annotations

import os

from transfer.core.paths import display
from transfer.device.device import Device, read_regular
from transfer.device.disk import device_errors, write_durably
from transfer.device.layout import ERASED_NAME, Layout
from transfer.errors import DeviceError, FormatError
from transfer.formats.erasure import MAX_ERASURE_BYTES, Erasure, decode_erasure, encode_erasure


def read_erasure(device: Device) -> Erasure | None:
    """The record of an erasure; None where there is none.

    Raises:
        FormatError: it breaks the format, or is of another device.
        DeviceError: it cannot be read.
    """
    path = device.layout.at(ERASED_NAME)
    if not os.path.lexists(path):
        return None
    with device_errors(device.root):
        erasure = decode_erasure(read_regular(path, MAX_ERASURE_BYTES), ERASED_NAME)
    if erasure.device_id != device.document.device_id:
        raise FormatError(f"{ERASED_NAME} of {device.root} is of another device", remedy="delete it")
    return erasure


def write_erasure(layout: Layout, erasure: Erasure) -> None:
    """Put the record in place, durably.

    Raises:
        OSError: the disk refused.
    """
    write_durably(layout.at(ERASED_NAME), encode_erasure(erasure))


def refuse_erased(device: Device) -> None:
    """Raise DeviceError when a device was erased, wholly or in part."""
    erasure = read_erasure(device)
    if erasure is None:
        return
    by = f" by {display(erasure.who.encode())}" if erasure.who else ""
    if erasure.state == "done":
        raise DeviceError(
            f"device {device.root} was erased on {erasure.finished}{by}",
            remedy=f"{ERASED_NAME} tells how; there is nothing on it any more",
        )
    raise DeviceError(
        f"device {device.root} is being erased since {erasure.begun}{by}; that did not come to its end",
        remedy="give the same `transfer erase` again to go on",
    )
