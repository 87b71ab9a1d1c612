"""A dock: the folder where devices arrive, each in a folder of its own, and the records of their ways.

DOCK/survey-2026               a device that is here, whole
DOCK/.arriving-<device_id>     one that is not yet
DOCK/.tracking/<device_id>.json, .faults.json, .lock

- Records are replaced whole and durably; a crash leaves the one before.
- One shipment of a device at a time: an flock(2), which ends with its process.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator

from transfer.device.disk import FULL_ERRNOS, read_limited, sync_directory, write_durably
from transfer.device.layout import DEVICE_NAME
from transfer.errors import DeviceError, DeviceFullError, LockedError, TransferError, UsageError
from transfer.formats.documents import DeviceDocument
from transfer.formats.tracking import (
    MAX_FAULTS_BYTES,
    MAX_TRACKING_BYTES,
    TRACKING_FOLDER,
    FaultsDocument,
    TrackingDocument,
    decode_faults,
    decode_tracking,
    encode,
)


class Dock:
    """The dock at `root`, which is resolved."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.tracking = os.path.join(root, TRACKING_FOLDER)

    def berth(self, folder: str) -> str:
        """Where a device stands once it is here."""
        return os.path.join(self.root, folder)

    def arriving(self, device_id: str) -> str:
        """Where a device is gathered."""
        return os.path.join(self.root, f".arriving-{device_id}")

    def check(self) -> None:
        """Raise unless it can be a dock and may be written.

        Raises:
            UsageError: it is a device.
            DeviceError: it is no folder, or cannot be written.
        """
        if not os.path.isdir(self.root):
            problem = "is not a folder" if os.path.exists(self.root) else "does not exist"
            raise DeviceError(f"dock {self.root} {problem}", remedy="mount the disk or make the folder first")
        if os.path.lexists(os.path.join(self.root, DEVICE_NAME)):
            raise UsageError(
                f"{self.root} is a device, not a dock", remedy="name the folder that devices go into"
            )
        if os.path.lexists(self.tracking) and not is_folder(self.tracking):
            raise DeviceError(f"{self.tracking} is not a folder", remedy="take it away")
        with dock_errors(self.root):
            if not os.access(self.root, os.W_OK):
                read_only = os.statvfs(self.root).f_flag & os.ST_RDONLY
                raise OSError(errno.EROFS if read_only else errno.EACCES, "cannot be written", self.root)

    def free_bytes(self) -> int:
        """Room for this user."""
        with dock_errors(self.root):
            status = os.statvfs(self.root)
        return status.f_bavail * status.f_frsize

    def load(self, device_id: str) -> TrackingDocument | None:
        """The record of a device, None where it has none.

        Raises:
            FormatError: it is not what it should be.
        """
        text = self._read(f"{device_id}.json", MAX_TRACKING_BYTES)
        return None if text is None else decode_tracking(text, self._at(f"{device_id}.json"))

    def load_faults(self, device_id: str) -> FaultsDocument | None:
        """What was done to a device on request.

        Raises:
            FormatError: the record is not what it should be.
        """
        text = self._read(f"{device_id}.faults.json", MAX_FAULTS_BYTES)
        return None if text is None else decode_faults(text, self._at(f"{device_id}.faults.json"))

    def save(self, document: TrackingDocument) -> None:
        """Replace a device's record."""
        with dock_errors(self.root):
            write_durably(self._at(f"{document.device_id}.json"), encode(document))

    def save_faults(self, device_id: str, document: FaultsDocument | None) -> None:
        """Replace a device's record of faults; with None there is none any more."""
        path = self._at(f"{device_id}.faults.json")
        with dock_errors(self.root):
            if document is not None:
                write_durably(path, encode(document))
            elif os.path.lexists(path):
                os.unlink(path)
                sync_directory(self.tracking)

    def find(self, source: bytes) -> TrackingDocument | None:
        """The record of what was taken from a place, where the place itself cannot tell any more.

        That is one that is under way, else one that was moved.
        """
        if not os.path.isdir(self.tracking):
            return None
        with dock_errors(self.root):
            names = sorted(os.listdir(self.tracking))
        ids = [
            name.removesuffix(".json") for name in names if name.endswith(".json") and name.count(".") == 1
        ]
        records = [record for device_id in ids if (record := self.load(device_id))]
        taken = [
            record
            for record in records
            if record.source_bytes == source and (record.move or record.state != "docked")
        ]
        # Of several that were moved from the same place the last one was meant.
        return max(taken, key=lambda record: (not record.source_removed, record.due), default=None)

    @contextlib.contextmanager
    def exclusive(self, device_id: str) -> Iterator[None]:
        """Be the only shipment of a device to this dock.

        Raises:
            LockedError: there is another one.
        """
        with dock_errors(self.root):
            if not os.path.isdir(self.tracking):
                os.mkdir(self.tracking)
                sync_directory(self.root)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self._at(f"{device_id}.lock"), flags, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LockedError(
                    f"another process ships device {device_id} to {self.root}",
                    remedy="wait until it is done, or stop it",
                ) from None
            yield
        finally:
            os.close(descriptor)

    def _at(self, name: str) -> str:
        return os.path.join(self.tracking, name)

    def _read(self, name: str, limit_bytes: int) -> bytes | None:
        with dock_errors(self.root), contextlib.suppress(FileNotFoundError):
            return read_limited(self._at(name), limit_bytes)
        return None


def folder_name(document: DeviceDocument) -> str:
    """What a device is called in a dock: its job, from the job's second device on with its number."""
    return document.job if document.ordinal == 1 else f"{document.job}-{document.ordinal}"


def is_folder(path: str) -> bool:
    """Whether it is a folder itself, not a link to one."""
    return os.path.lexists(path) and stat.S_ISDIR(os.lstat(path).st_mode)


@contextlib.contextmanager
def dock_errors(root: str) -> Iterator[None]:
    """Turn an OSError of the dock's disk into an error that says what happened and what to do."""
    try:
        yield
    except OSError as error:
        raise dock_error(error, root) from error


def dock_error(error: OSError, root: str) -> TransferError:
    """The error of the product for an OSError met in the dock at `root`."""
    reason, again = error.strerror or str(error), "give the same command again: it goes on where it stopped"
    if error.errno in FULL_ERRNOS:
        return DeviceFullError(f"the disk of dock {root} is full", remedy=f"free some room there and {again}")
    if error.errno == errno.EROFS:
        return DeviceError(f"dock {root} is mounted read-only", remedy="remount it for writing")
    if error.errno == errno.EFBIG:
        return DeviceError(
            f"the file system of dock {root} takes no file so large", remedy="use another dock"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return DeviceError(f"dock {root} may not be used: {reason}", remedy="check its owner and mode")
    where = f" at {os.fsdecode(error.filename)}" if error.filename else ""
    return DeviceError(
        f"dock {root} failed{where}: {reason}", remedy=f"check its connection and health, then {again}"
    )
