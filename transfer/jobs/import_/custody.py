"""What is known of a device's way so far: from its own documents, and from the record of its carrier.

None of it is proof: it is what was written down on the way, told in a report.
"""

from __future__ import annotations

import os
from contextlib import suppress

from transfer.core.moments import moment_text
from transfer.device.device import Device
from transfer.errors import TransferError
from transfer.formats.report import CustodyEvent
from transfer.jobs.ship.dock import Dock


def custody_of(device: Device) -> list[CustodyEvent]:
    """What happened to a device so far, oldest first."""
    events = [CustodyEvent("device prepared", device.document.created)]
    if sealed := sealed_at(device):
        events.append(CustodyEvent("sealed", sealed))
    dock = Dock(os.path.dirname(os.path.abspath(device.root)))
    with suppress(TransferError):  # a dock without a record, or with a broken one, has nothing to tell
        tracking = dock.load(device.document.device_id)
        for event in tracking.events if tracking is not None else ():
            real, simulated = moment_text(event.real), moment_text(event.simulated)
            events.append(CustodyEvent(event.state, real, simulated))
    return events


def sealed_at(device: Device) -> str:
    """When a device was sealed; empty where it is not, or where its seal cannot be read."""
    with suppress(TransferError):
        if device.is_sealed:
            return device.seal().sealed
    return ""
