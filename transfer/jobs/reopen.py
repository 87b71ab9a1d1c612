"""reopen: take a sealed device back, to be filled further; the next seal has the next generation.

To rename the seal is the whole of it: before, the device is sealed; after, it is open. What an interruption
leaves to do, reopening again or the next seal does.
"""

from __future__ import annotations

from dataclasses import dataclass

from transfer.device.device import Device, open_device
from transfer.device.disk import device_errors
from transfer.device.lock import locked
from transfer.device.previous_seal import is_reopened, put_aside, read_previous
from transfer.errors import DeviceError, IntegrityError
from transfer.jobs.verify.findings import Finding
from transfer.jobs.verify.sealed import read_seal


@dataclass(frozen=True)
class Reopened:
    """A device that is open again; `generation` is that of the seal before."""

    device: Device
    generation: int


def reopen(root: str, *, dry_run: bool = False) -> Reopened:
    """Reopen a device.

    Args:
        root: a sealed device.
        dry_run: check, write nothing.

    Raises:
        DeviceError: it is not sealed, or encrypted: then nothing on this host can add to it any more.
        IntegrityError: its seal is not right.
        LockedError: another process works on the device.
    """
    device = open_device(root)
    if device.document.is_encrypted:
        raise DeviceError(
            f"device {root} is encrypted: the key to go on with it was destroyed when it was sealed",
            remedy="prepare another device",
        )
    with locked(device.layout, "seal"), device_errors(root):
        generation = _generation(device)
        if not dry_run:
            put_aside(device.layout)
    return Reopened(device, generation)


def _generation(device: Device) -> int:
    """That of the seal which is there, or which an interrupted reopening has put aside already."""
    found: list[Finding] = []
    read = read_seal(device, found.append)
    if read is not None:
        return read.document.generation
    if found:
        what = f"the seal of {device.root} is not right: {found[0]}"
        raise IntegrityError(what, remedy="run `transfer verify` for the whole picture")
    previous = read_previous(device) if is_reopened(device.layout) else None
    if previous is None:
        what = f"device {device.root} is not sealed: it takes more data as it is"
        raise DeviceError(what, remedy="copy to it")
    return previous[0].generation
