"""Whether a folder of the dock is a device that came whole: seal, segments and sizes, in this order.

Packs are measured, not read: their digests are checked while the import reads them. A file that is missing,
shorter or longer than the seal says means that the device is not here yet, or not any more; bytes that
differ in a file of the right size are damage, which an import reports entry by entry.

Nothing is written, and nothing of what lies there is trusted: every read is bounded. Runs in a thread.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from transfer.device.device import Device, open_device
from transfer.device.layout import DEVICE_NAME, PACKS, SEGMENTS
from transfer.errors import DeviceError, IntegrityError, TransferError
from transfer.formats.documents import DeviceDocument, SealDocument, SealedFile
from transfer.jobs.import_.arrival import Arrival, receive
from transfer.jobs.import_.options import ImportOptions
from transfer.jobs.verify.findings import Finding


@dataclass(frozen=True)
class Whole:
    """A device that may be imported; `size_bytes` of content, as its seal says."""

    arrival: Arrival
    size_bytes: int


@dataclass(frozen=True)
class Refused:
    """A folder that is not taken.

    Attributes:
        reason: for people.
        document: what DEVICE.json says, where it could be read.
        may_pass: the disk failed, which may be over in a while, without any file being changed.
    """

    reason: str
    document: DeviceDocument | None = None
    may_pass: bool = False


def look(root: str, options: ImportOptions) -> Whole | Refused:
    """Look at a folder, as an import with these options would."""
    if not os.path.lexists(os.path.join(root, DEVICE_NAME)):
        return Refused(f"it is no device: it has no {DEVICE_NAME}")
    try:
        device = open_device(root)
    except TransferError as error:
        return _refused(error, None)
    if not device.is_sealed:
        return Refused("it is not sealed", device.document)
    try:
        seal = device.seal()
        if defect := _first_and_count(_size_defects(device, seal)):
            return Refused(f"it is not whole: {defect}", device.document)
        arrival = receive(root, incomplete=False, report=_ignore, keys=options.keys, signers=options.signers)
    except TransferError as error:
        return _refused(error, device.document)
    return Whole(arrival, sum(header.content_bytes for header in arrival.manifest.headers))


def _ignore(finding: Finding) -> None:
    """The import finds it again."""


def _refused(error: TransferError, document: DeviceDocument | None) -> Refused:
    may_pass = isinstance(error, DeviceError) and isinstance(error.__cause__, OSError)
    # The remedies of these errors are options of commands, which nobody here gives.
    reason = f"it cannot be trusted: {error.what}" if isinstance(error, IntegrityError) else error.what
    return Refused(reason, document, may_pass)


def _first_and_count(defects: Iterator[str]) -> str:
    """The first defect, and how many more there are; empty where there is none."""
    first = next(defects, "")
    more = sum(1 for _ in defects)
    return f"{first}, and {more} more of its files" if more else first


def _size_defects(device: Device, seal: SealDocument) -> Iterator[str]:
    layout = device.layout
    for folder, path, files in (
        ("", device.root, seal.files),
        (f"{PACKS}/", layout.packs, seal.packs),
        (f"{SEGMENTS}/", layout.segments, seal.segments),
    ):
        for file in files:
            if defect := _size_defect(os.path.join(path, file.name), file):
                yield f"{folder}{file.name} {defect}"


def _size_defect(path: str, file: SealedFile) -> str:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be seen: {error.strerror}"
    if not stat.S_ISREG(status.st_mode):
        return "is no regular file"
    if status.st_size != file.size_bytes:
        return f"has {status.st_size} bytes instead of {file.size_bytes}"
    return ""
