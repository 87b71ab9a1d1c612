"""What of a device travels: the files that FORMAT.md §4 and §16 name, and nothing else.

    - Only regular files are taken, no link is followed; whatever else lies there is named, not carried.
    - Files come in an order in which DEVICE.json is the last: as long as a device is not wholly gone from a
      place, its identity is there.

Does not: read packs and segments. Whether they are what the seal says is for verify to find.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from blake3 import blake3

from transfer.core.paths import display
from transfer.device.device import Device, read_regular
from transfer.device.disk import device_errors
from transfer.device.layout import (
    CUSTODY_NAME,
    DEVICE_NAME,
    FORMATTED_DISK_NAMES,
    KEYS,
    LOCK_NAME,
    PACKS,
    RECOVERY_NAME,
    RESERVE_NAME,
    SCRIPT_NAME,
    SEAL_NAME,
    SEGMENTS,
    SIGNATURE_NAME,
)
from transfer.errors import DeviceError, IntegrityError
from transfer.formats.documents import MAX_SEAL_BYTES, SealDocument, decode_seal

_STORED = {
    PACKS: re.compile(r"\d{8}\.tar\.zst(\.age)?", re.ASCII),
    SEGMENTS: re.compile(r"\d{8}\.jsonl\.zst(\.age)?", re.ASCII),
    KEYS: re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII),
    "parity": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII),
}
_TOP = (RECOVERY_NAME, SCRIPT_NAME, CUSTODY_NAME, SIGNATURE_NAME, SEAL_NAME, DEVICE_NAME)
# The agent's own, without meaning at rest, and what stands on every disk: nobody has to hear of these.
_UNSPOKEN = FORMATTED_DISK_NAMES | {LOCK_NAME, RESERVE_NAME}

FOLDERS = tuple(_STORED)
"""The folders of a device, in the order of the cargo."""


@dataclass(frozen=True)
class CargoFile:
    """A file that travels; `name` is relative to the device's root."""

    name: str
    size_bytes: int


@dataclass(frozen=True)
class Cargo:
    """What travels, and what does not, the latter for people."""

    files: list[CargoFile]
    left_behind: list[str]

    @property
    def size_bytes(self) -> int:
        """All of it."""
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True)
class Sealed:
    """A device that may travel."""

    cargo: Cargo
    seal: SealDocument
    seal_blake3: str


def list_cargo(root: str) -> Cargo:
    """What of a device, or of a part of one, is at `root`.

    Raises:
        OSError: it cannot be read.
    """
    files: list[CargoFile] = []
    left = [name for name in os.listdir(root) if name not in _UNSPOKEN and name not in (*_STORED, *_TOP)]
    for folder, pattern in _STORED.items():
        for name in _names(root, folder, left):
            path = f"{folder}/{name}"
            size = _regular_size(os.path.join(root, path)) if pattern.fullmatch(name) else None
            files.append(CargoFile(path, size)) if size is not None else left.append(path)
    for name in _TOP:
        size = _regular_size(os.path.join(root, name))
        if size is not None:
            files.append(CargoFile(name, size))
        elif os.path.lexists(os.path.join(root, name)):
            left.append(name)
    return Cargo(files, sorted(display(os.fsencode(name)) for name in left))


def _names(root: str, folder: str, left: list[str]) -> Iterator[str]:
    path = os.path.join(root, folder)
    if not os.path.lexists(path):
        return
    if stat.S_ISDIR(os.lstat(path).st_mode):
        yield from sorted(os.listdir(path))
    else:
        left.append(folder)


def _regular_size(path: str) -> int | None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def seal_digest(root: str) -> str:
    """BLAKE3 of SEAL.json's exact bytes, by which a sealed device is known.

    Raises:
        DeviceError: it cannot be read.
    """
    with device_errors(root):
        return blake3(read_regular(os.path.join(root, SEAL_NAME), MAX_SEAL_BYTES)).hexdigest()


def inspect(device: Device, *, allow_incomplete: bool) -> Sealed:
    """What of a sealed device travels, all that its seal lists being there in its size.

    Raises:
        DeviceError: it is not sealed, or incomplete.
        IntegrityError: its seal breaks the format, is another device's, or lists what is not there.
    """
    root = device.root
    if not device.is_sealed:
        raise DeviceError(
            f"device {root} is not sealed", remedy="close it with `transfer seal` before it travels"
        )
    with device_errors(root):
        text = read_regular(device.layout.at(SEAL_NAME), MAX_SEAL_BYTES)
        cargo = list_cargo(root)
    seal, document = decode_seal(text, f"{root}/{SEAL_NAME}"), device.document
    if (seal.device_id, seal.job, seal.ordinal) != (document.device_id, document.job, document.ordinal):
        raise IntegrityError(
            f"the seal on {root} is that of another device", remedy="do not trust this device"
        )
    if not seal.complete and not allow_incomplete:
        raise DeviceError(
            f"device {root} is incomplete: it was sealed although the last copy did not end",
            remedy="say --incomplete to ship it as it is",
        )
    _refuse_if_broken(root, seal, cargo)
    return Sealed(cargo, seal, blake3(text).hexdigest())


def _refuse_if_broken(root: str, seal: SealDocument, cargo: Cargo) -> None:
    found = {file.name: file.size_bytes for file in cargo.files}
    listed = [("", file) for file in seal.files]
    listed += [(f"{PACKS}/", file) for file in seal.packs] + [
        (f"{SEGMENTS}/", file) for file in seal.segments
    ]
    for folder, file in listed:
        name, remedy = folder + file.name, f"see what else is wrong: `transfer verify {root}`"
        if name not in found:
            raise IntegrityError(f"device {root} has no {name}, which its seal lists", remedy=remedy)
        if found[name] != file.size_bytes:
            what = f"{name} on device {root} has {found[name]} bytes, its seal says {file.size_bytes}"
            raise IntegrityError(what, remedy=remedy)
