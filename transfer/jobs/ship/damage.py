"""Does to a device what its record of faults says; doing it again changes nothing more."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator

import msgspec

from transfer.core.faults import (
    AnyFault,
    Bitflip,
    Delay,
    FaultPlan,
    LostPack,
    RandomSource,
    SwappedDevice,
    Truncation,
    Victim,
    choose_faults,
)
from transfer.device.device import read_regular
from transfer.device.disk import device_errors, sync_directory, write_durably
from transfer.device.layout import PACKS, SEGMENTS
from transfer.device.manifest import open_regular
from transfer.formats.documents import MAX_DEVICE_BYTES, decode_device, encode
from transfer.jobs.ship.cargo import CargoFile


def choose(
    plan: FaultPlan, device_id: str, root: str, files: list[CargoFile], chance: RandomSource
) -> list[AnyFault]:
    """Choose what will be done to the device at `root`.

    Raises:
        UsageError: it has too little to do that to.
        DeviceError: it cannot be read.
    """
    victims = [
        Victim(file.name, file.size_bytes, file.name.startswith(f"{PACKS}/"))
        for file in files
        if file.name.startswith((f"{PACKS}/", f"{SEGMENTS}/"))
    ]

    def read_byte(name: str, offset: int) -> int:
        with device_errors(root), open_regular(os.path.join(root, name)) as file:
            return os.pread(file.fileno(), 1, offset)[0]

    return choose_faults(plan, device_id, victims, chance, read_byte)


def damage(root: str, faults: Iterable[AnyFault]) -> None:
    """Do it to the device at `root`, durably.

    Raises:
        OSError: the disk refused.
    """
    for fault in faults:
        path = "" if isinstance(fault, Delay) else os.path.join(root, fault.file)
        match fault:
            case Bitflip():
                with _writing(path) as file:
                    os.pwrite(file, bytes([fault.after]), fault.offset)
            case Truncation():
                with _writing(path) as file:
                    os.ftruncate(file, fault.left_bytes)
            case LostPack():
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
            case SwappedDevice():
                document = decode_device(read_regular(path, MAX_DEVICE_BYTES), path)
                write_durably(path, encode(msgspec.structs.replace(document, device_id=fault.after)))
            case Delay():
                pass  # the route has it
    sync_directory(os.path.join(root, PACKS))


@contextlib.contextmanager
def _writing(path: str) -> Iterator[int]:
    """A file for changing it, durable at the end."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        yield descriptor
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
