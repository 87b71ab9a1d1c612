"""How things stand before a shipment goes on: where the device is, and what earlier tries have left.

It only looks. What the places say and what the records say has to fit together; where it does not, the
shipment is refused, with nothing touched.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from transfer.core.faults import AnyFault
from transfer.device.device import Device, open_device
from transfer.device.layout import DEVICE_NAME, SEAL_NAME
from transfer.errors import DeviceError, UsageError
from transfer.formats.tracking import TrackingDocument
from transfer.jobs.ship.cargo import Sealed, inspect, seal_digest
from transfer.jobs.ship.dock import Dock, folder_name, is_folder


@dataclass(frozen=True)
class Standing:
    """A device, or what is left of it, and the dock that it goes to.

    Attributes:
        source: where it is taken from, resolved.
        dock: where it goes.
        device: None where an earlier try has taken DEVICE.json away already.
        device_id: its id, from DEVICE.json or from the record.
        folder: what it is called in the dock.
    """

    source: str
    dock: Dock
    device: Device | None
    device_id: str
    folder: str

    @property
    def berth(self) -> str:
        """Where it stands once it is in the dock."""
        return self.dock.berth(self.folder)

    @property
    def arriving(self) -> str:
        """Where it is gathered."""
        return self.dock.arriving(self.device_id)

    def record(self) -> TrackingDocument | None:
        """What the dock knows of it by now."""
        return self.dock.load(self.device_id)

    def is_berthed(self) -> bool:
        """Whether it is in the dock, under its name.

        Raises:
            DeviceError: something else has that name.
        """
        if not os.path.lexists(self.berth):
            return False
        remedy = "take it out of the dock, or use another dock"
        if not is_folder(self.berth) or not os.path.lexists(os.path.join(self.berth, SEAL_NAME)):
            raise DeviceError(f"{self.berth} is there already, and is no sealed device", remedy=remedy)
        if seal_digest(self.berth) != self._seal_digest():
            raise DeviceError(f"{self.berth} is there already, and is another device", remedy=remedy)
        return True

    def under_way(self) -> TrackingDocument | None:
        """The record of a shipment that was interrupted; None where a new one has to begin.

        Raises:
            DeviceError: something lies in the dock that no record tells of.
        """
        record = self.record()
        if not os.path.lexists(self.arriving):
            return None
        if record is None or record.state == "docked" or not is_folder(self.arriving):
            what = f"{self.arriving} is there, but no record of a shipment under way"
            raise DeviceError(what, remedy="look at it, and take it away")
        return record

    def inspect(self, *, allow_incomplete: bool) -> tuple[Device, Sealed]:
        """The device and what of it travels.

        Raises:
            DeviceError, IntegrityError: it cannot travel.
        """
        device = self.device or open_device(self.source)
        return device, inspect(device, allow_incomplete=allow_incomplete)

    def faults(self, record: TrackingDocument | None) -> list[AnyFault]:
        """What is done to the device on request.

        Raises:
            DeviceError: the record of it is gone or another shipment's.
        """
        if record is None or not record.faults:
            return []
        document = self.dock.load_faults(record.device_id)
        if document is None or document.shipment_id != record.shipment_id:
            what = f"the record of faults of device {record.device_id} is gone from {self.dock.tracking}"
            raise DeviceError(what, remedy=f"take {self.arriving} away to begin anew")
        return document.faults

    def _seal_digest(self) -> str:
        if self.device is not None and self.device.is_sealed:
            return seal_digest(self.source)
        # Of a device that is being renamed the seal may be on the other side already.
        record = self.record()
        if record is None:
            what = f"device {self.source} is not sealed"
            raise DeviceError(what, remedy="close it with `transfer seal` before it travels")
        return record.seal_blake3


def look(source: str, dock: Dock) -> Standing:
    """Find the device at `source`, or the record of what was taken from there.

    Raises:
        DeviceError: there is no device, and no record of one.
        UsageError: one of the two is inside the other.
    """
    inner = os.path.commonpath((source, dock.root))
    if inner == source:
        raise UsageError(f"dock {dock.root} is inside of the device", remedy="name another folder")
    if not os.path.lexists(os.path.join(source, DEVICE_NAME)):
        record = dock.find(os.fsencode(source))
        if record is not None:
            return Standing(source, dock, None, record.device_id, record.folder)
    device = open_device(source)
    folder = folder_name(device.document)
    if inner == dock.root and source != dock.berth(folder):
        raise UsageError(f"device {source} is inside of the dock", remedy="name another dock")
    return Standing(source, dock, device, device.document.device_id, folder)
