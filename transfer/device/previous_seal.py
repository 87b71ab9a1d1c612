"""SEAL.json.previous: the seal of a device that was reopened, until the next one takes its place.

To rename the seal is what reopens a device; what follows can be done again. The next seal counts on from this
one, so that whoever saw the old one knows it for old.
"""

from __future__ import annotations

import contextlib
import os

from blake3 import blake3

from transfer.device.device import Device, read_regular
from transfer.device.disk import device_errors, sync_directory
from transfer.device.layout import PREVIOUS_SEAL_NAME, SEAL_NAME, Layout
from transfer.device.signature import remove_signature
from transfer.errors import IntegrityError
from transfer.formats.documents import MAX_SEAL_BYTES, SealDocument, decode_seal


def is_reopened(layout: Layout) -> bool:
    """Whether there is a previous seal, and no other."""
    at = layout.at
    return os.path.lexists(at(PREVIOUS_SEAL_NAME)) and not os.path.lexists(at(SEAL_NAME))


def put_aside(layout: Layout) -> None:
    """Make the seal the previous one; its signature goes. Durable.

    Raises:
        OSError: the disk refused.
    """
    if os.path.lexists(layout.at(SEAL_NAME)):
        os.rename(layout.at(SEAL_NAME), layout.at(PREVIOUS_SEAL_NAME))
        sync_directory(layout.root)
    remove_signature(layout)


def read_previous(device: Device) -> tuple[SealDocument, str] | None:
    """The previous seal and BLAKE3 of its bytes; None where there is none.

    Raises:
        FormatError: it breaks the format.
        IntegrityError: it is of another device.
        DeviceError: it cannot be read.
    """
    path = device.layout.at(PREVIOUS_SEAL_NAME)
    with device_errors(device.root):
        if not os.path.lexists(path):
            return None
        text = read_regular(path, MAX_SEAL_BYTES)
    seal, document = decode_seal(text, PREVIOUS_SEAL_NAME), device.document
    if (seal.device_id, seal.job, seal.ordinal) != (document.device_id, document.job, document.ordinal):
        what = f"{PREVIOUS_SEAL_NAME} on {device.root} is of another device"
        raise IntegrityError(what, remedy="do not trust this device")
    return seal, blake3(text).hexdigest()


def forget_previous(layout: Layout) -> None:
    """Take the previous seal away: there is a newer one.

    Raises:
        OSError: the disk refused.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(layout.at(PREVIOUS_SEAL_NAME))
        sync_directory(layout.root)
