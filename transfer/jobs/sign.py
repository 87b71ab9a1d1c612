"""sign: add the signature to a seal that has none, as long as the device is what it was when it was sealed.

Whoever signs stands for what is on the device. So it is looked at first, as `seal` does: all but the packs is
read, and packs are measured. To read them too is what verify is for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blake3 import blake3

from transfer.device.custody import append_entry, read_log
from transfer.device.device import Device, open_device, take_inventory
from transfer.device.disk import device_errors
from transfer.device.lock import locked
from transfer.device.previous_seal import forget_previous
from transfer.device.signature import is_signed, signing_key, write_signature
from transfer.errors import DeviceError, IntegrityError
from transfer.formats.custody import Head
from transfer.formats.documents import SealDocument
from transfer.formats.sshsig import SEAL_NAMESPACE
from transfer.jobs.seal import forget_resume_key, stored
from transfer.jobs.verify.findings import Finding
from transfer.jobs.verify.sealed import ReadSeal, read_seal

if TYPE_CHECKING:
    from transfer.device.signing_key import Signer

_REMEDY = "run `transfer verify` for the whole picture, and sign nothing before it is right"


@dataclass(frozen=True)
class Signed:
    """A seal with its signature; `is_new` unless the same key had signed it before."""

    document: SealDocument
    blake3: str
    is_new: bool
    custody: Head | None = None


def sign(
    root: str, signer: Signer, *, who: str = "", dry_run: bool = False, state_directory: str = ""
) -> Signed:
    """Sign the seal of a device.

    Args:
        root: a sealed device.
        signer: the key.
        who: who answers for it, for the custody log.
        dry_run: check, write nothing.
        state_directory: where the resume identity of an encrypted device would be, if its seal was cut short.

    Raises:
        DeviceError: it is not sealed, or another key signed it.
        IntegrityError: the seal, a signature that is there, or what the seal lists is not right.
        TransferError: the key does not sign.
        LockedError: another process works on the device.
    """
    device = open_device(root)
    with locked(device.layout, "seal"), device_errors(root):
        read = _seal(device)
        if not dry_run:
            forget_resume_key(device, state_directory)
        digest = blake3(read.text).hexdigest()
        read_log(device.layout)  # to a broken one nothing can be added: better said before it is signed
        if is_signed(device.layout):
            _refuse_unless_mine(device, read.text, signer)
            return Signed(read.document, digest, is_new=False)
        _refuse_if_changed(device, read.document)
        custody = None
        if not dry_run:
            write_signature(device.layout, signer.sign(read.text, SEAL_NAMESPACE))
            forget_previous(device.layout)
            note = f"signed by {signer.public.fingerprint}"
            custody = append_entry(device.layout, "sealed", who=who, signer=signer, note=note)
    return Signed(read.document, digest, is_new=True, custody=custody)


def _seal(device: Device) -> ReadSeal:
    found: list[Finding] = []
    read = read_seal(device, found.append)
    if read is None:
        if found:
            raise IntegrityError(f"the seal of {device.root} cannot be signed: {found[0]}", remedy=_REMEDY)
        raise DeviceError(f"device {device.root} is not sealed", remedy="seal it first")
    return read


def _refuse_unless_mine(device: Device, text: bytes, signer: Signer) -> None:
    public = signing_key(device.layout, text)
    if public != signer.public:
        what = f"device {device.root} is signed already, by {public.fingerprint}"
        raise DeviceError(what, remedy="reopen it with `transfer seal --reopen`, and seal it anew")


def _refuse_if_changed(device: Device, seal: SealDocument) -> None:
    if defect := next(_defects(device, seal), ""):
        what = f"device {device.root} is not what its seal says: {defect}"
        raise IntegrityError(what, remedy=_REMEDY)


def _defects(device: Device, seal: SealDocument) -> Iterator[str]:
    """What differs between the device and its seal, in words."""
    layout = device.layout
    inventory, numbers = take_inventory(layout), list(range(len(seal.packs)))
    if (inventory.packs, inventory.segments) != (numbers, numbers):
        yield "it has other packs or segments"
    for file in seal.files:
        if stored(layout.at(file.name), file.name) != file:
            yield f"{file.name} was altered"
    for number in numbers:
        if stored(layout.segment(number), layout.segment_name(number)) != seal.segments[number]:
            yield f"{layout.segment_file(number)} was altered"
        if os.lstat(layout.pack(number)).st_size != seal.packs[number].size_bytes:
            yield f"{layout.pack_file(number)} has another size"
