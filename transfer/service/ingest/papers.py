"""The tracking records of a dock, as they are shown: read when they changed, one bad one harms no other.

Runs in a thread. Nothing is ever written here: the records are their carrier's.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from transfer.core.moments import moment_text
from transfer.core.paths import display
from transfer.core.tracking import State
from transfer.device.device import read_regular
from transfer.errors import TransferError
from transfer.formats.tracking import MAX_TRACKING_BYTES, TRACKING_FOLDER, TrackingDocument, decode_tracking
from transfer.service.views import TrackingEvent, TrackingView

MAX_RECORDS = 10_000
_SUFFIX, _FAULTS_SUFFIX = ".json", ".faults.json"


@dataclass(frozen=True, slots=True)
class Paper:
    """What the record of a device says."""

    device_id: str
    job: str
    ordinal: int
    folder: str
    size_bytes: int
    state: State
    view: TrackingView


class Papers:
    """The records of the dock at `root`.

    Attributes:
        complaints: what is wrong with records that were read by the last `read`.
    """

    def __init__(self, root: str) -> None:
        self._folder = os.path.join(root, TRACKING_FOLDER)
        self._read: dict[str, tuple[tuple[int, ...], Paper | None]] = {}
        self.complaints: list[str] = []

    def read(self) -> dict[str, Paper]:
        """Each device id to its record; records that did not change are not read again."""
        self.complaints = []
        known, self._read = self._read, {}
        for name in self._names():
            try:
                status = os.lstat(os.path.join(self._folder, name))
            except OSError:
                continue  # replaced a moment ago
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            before = known.get(name)
            self._read[name] = before if before and before[0] == stamp else (stamp, self._open(name))
        return {paper.device_id: paper for _, paper in self._read.values() if paper is not None}

    def _names(self) -> list[str]:
        try:
            with os.scandir(self._folder) as entries:
                names = [
                    entry.name
                    for entry in entries
                    if entry.name.endswith(_SUFFIX) and not entry.name.endswith(_FAULTS_SUFFIX)
                ]
        except OSError:  # most docks have no carrier of ours
            return []
        if len(names) > MAX_RECORDS:
            self.complaints.append(f"{self._folder} has more than {MAX_RECORDS} records")
        return sorted(names)[:MAX_RECORDS]

    def _open(self, name: str) -> Paper | None:
        path = os.path.join(self._folder, name)
        try:
            document = decode_tracking(read_regular(path, MAX_TRACKING_BYTES), path)
        except (TransferError, OSError) as error:
            self.complaints.append(str(error))
            return None
        return _paper(document)


def _paper(document: TrackingDocument) -> Paper:
    events = [
        TrackingEvent(event.state, moment_text(event.simulated), moment_text(event.real))
        for event in document.events
    ]
    view = TrackingView(
        shipment_id=document.shipment_id,
        state=document.state,
        due=moment_text(document.due),
        source=display(document.source_bytes),
        events=events,
    )
    return Paper(
        device_id=document.device_id,
        job=document.job,
        ordinal=document.ordinal,
        folder=document.folder,
        size_bytes=document.size_bytes,
        state=document.state,
        view=view,
    )
