"""A device that was opened: its identity, its state, what it holds in files."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transfer.device.disk import device_errors, read_limited
from transfer.device.layout import (
    DEVICE_NAME,
    ERASED_NAME,
    PACKS,
    SEAL_NAME,
    SEGMENTS,
    Layout,
)
from transfer.errors import DeviceError
from transfer.formats.documents import (
    MAX_DEVICE_BYTES,
    MAX_SEAL_BYTES,
    DeviceDocument,
    SealDocument,
    decode_device,
    decode_seal,
)

if TYPE_CHECKING:
    from transfer.formats.age.keys import Identity


@dataclass(frozen=True)
class Device:
    """A prepared device: where it is, and what its DEVICE.json says.

    Attributes:
        identities: what opens it, where it is encrypted; `transfer.device.encryption` finds them.
    """

    layout: Layout
    document: DeviceDocument
    identities: tuple[Identity, ...] = ()

    @property
    def root(self) -> str:
        """The device's directory."""
        return self.layout.root

    @property
    def is_locked(self) -> bool:
        """Whether it is encrypted and nothing is at hand that opens it."""
        return self.document.is_encrypted and not self.identities

    @property
    def is_sealed(self) -> bool:
        """Whether SEAL.json is there."""
        return os.path.lexists(self.layout.at(SEAL_NAME))

    def seal(self) -> SealDocument:
        """What SEAL.json says.

        Raises:
            FormatError: it breaks FORMAT.md §12.
            DeviceError: it cannot be read.
        """
        return decode_seal(self.seal_text(), SEAL_NAME)

    def seal_text(self) -> bytes:
        """The bytes of SEAL.json; one more than may be where it is too large.

        Raises:
            DeviceError: it cannot be read.
        """
        with device_errors(self.root):
            return read_regular(self.layout.at(SEAL_NAME), MAX_SEAL_BYTES)

    def refuse_if_sealed(self) -> None:
        """Raise DeviceError when the device takes no more data."""
        if self.is_sealed:
            what = f"device {self.root} is sealed: it takes no more data"
            raise DeviceError(what, remedy="prepare another device")


@dataclass(frozen=True)
class Inventory:
    """The files in packs/ and segments/: numbers in order, and names that do not belong there."""

    packs: list[int]
    segments: list[int]
    strangers: list[str]


def open_device(root: str, *, even_erased: bool = False) -> Device:
    """The device at `root`.

    Args:
        root: its directory.
        even_erased: take one that was erased as well, which has nothing but its documents.

    Raises:
        DeviceError: there is none, it cannot be read, or it was erased.
        FormatError: its DEVICE.json breaks FORMAT.md §6.
    """
    layout = Layout(root)
    path = layout.at(DEVICE_NAME)
    if not os.path.isdir(root):
        raise DeviceError(
            f"no device at {root}: no such folder", remedy="mount the device, or check the path"
        )
    if not os.path.lexists(path):
        raise DeviceError(
            f"no device at {root}: it has no {DEVICE_NAME}", remedy="make one with `transfer prepare`"
        )
    with device_errors(root):
        text = read_regular(path, MAX_DEVICE_BYTES)
    document = decode_device(text, DEVICE_NAME)
    device = Device(Layout(root, is_encrypted=document.is_encrypted), document)
    if not even_erased and os.path.lexists(layout.at(ERASED_NAME)):
        from transfer.device.erased import refuse_erased  # noqa: PLC0415  (it needs this module)

        refuse_erased(device)
    return device


def read_regular(path: str, limit_bytes: int) -> bytes:
    """A small regular file of the device; never through a link, which could lead off the device.

    Raises:
        DeviceError: it is something else.
        OSError: it cannot be read.
    """
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise DeviceError(f"{path} is not a regular file", remedy="do not trust this device")
    return read_limited(path, limit_bytes)


def take_inventory(layout: Layout) -> Inventory:
    """What lies in packs/ and segments/.

    Raises:
        DeviceError: they are missing, are no folders, or cannot be read.
    """
    with device_errors(layout.root):
        packs, segments = _names(layout.packs), _names(layout.segments)
    strangers = [f"{PACKS}/{name}" for name in packs if layout.pack_number(name) is None]
    strangers += [f"{SEGMENTS}/{name}" for name in segments if layout.segment_number(name) is None]
    return Inventory(
        packs=[number for name in packs if (number := layout.pack_number(name)) is not None],
        segments=[number for name in segments if (number := layout.segment_number(name)) is not None],
        strangers=strangers,
    )


def _names(folder: str) -> list[str]:
    """The names in a folder of the device, in order; never through a link, which could lead off the
    device."""
    if not stat.S_ISDIR(os.lstat(folder).st_mode):
        raise DeviceError(f"{folder} is not a folder", remedy="do not trust this device")
    return sorted(os.listdir(folder))
