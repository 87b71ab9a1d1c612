"""What the service tells: the JSON of the API, as frozen values. Pure.

Times are RFC 3339 in UTC, sizes count bytes, rates are bytes a second. A field that does not apply is null;
none is ever left out.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from msgspec import Struct

from transfer.ledger.phases import Phase

DeviceState = Literal["expected", "arriving", "refused", "accepted", "gone"]


class Action(StrEnum):
    """What a person may ask of a job."""

    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    CANCEL = "cancel"


class TrackingEvent(Struct, frozen=True):
    """A device came into a state: by the papers of its carrier, and by the clock of the host."""

    state: str
    simulated: str
    real: str


class TrackingView(Struct, frozen=True):
    """The way of a device to the dock, where a record of it is there.

    Attributes:
        state: the newest of `events`.
        due: when the carrier said that it would be delivered.
        source: where it was taken from.
    """

    shipment_id: str
    state: str
    due: str
    source: str
    events: list[TrackingEvent]


class DeviceView(Struct, frozen=True):
    """A device of the dock, or one that is on its way to it.

    Attributes:
        folder: its name in the dock.
        device_id: null while nothing that could be read names one.
        state: `expected`: its carrier has it; `arriving`: it is not whole yet, or still changes; `refused`:
            it is not taken, for `reason`, and was left as it is; `accepted`: it has a job; `gone`: it was
            here, and its folder is not any more.
        reason: why it is refused, or what is still missing.
        size_bytes: what its seal says that it holds; null where there is none that can be trusted.
        job_id: of its newest job.
        signed_by: whose signature its seal has, with the key's fingerprint; null where nobody vouches for it.
    """

    folder: str
    device_id: str | None
    job: str | None
    ordinal: int | None
    state: DeviceState
    reason: str | None
    size_bytes: int | None
    tracking: TrackingView | None
    job_id: str | None
    signed_by: str | None = None


class CountersView(Struct, frozen=True):
    """What became of entries; `bytes` are those of `objects`, which are in the bucket."""

    objects: int
    bytes: int
    failed: int
    skipped: int
    superseded: int


class ProgressView(Struct, frozen=True):
    """How far a job is that is under way.

    Attributes:
        bytes_verified: content that was read from the device and matched its digests.
        bytes_imported: content that the store has taken.
        bytes_s, files_s: of late; null while nothing can be said.
        remaining_s: an honest estimate; null where there is none.
    """

    files_total: int
    bytes_total: int
    files_done: int
    bytes_verified: int
    bytes_imported: int
    bytes_s: float | None
    files_s: float | None
    remaining_s: float | None


class JobView(Struct, frozen=True):
    """One import.

    Attributes:
        job_id: the same in every ledger.
        device_job, ordinal: what the device says of itself.
        folder: of the device in the dock; null where it is not there.
        destination: `s3://bucket/prefix`.
        endpoint: URL of the store; empty for Amazon's own.
        paused: somebody wants it to rest.
        waiting: why it does not move although it should, and until when; null where it moves or has ended.
        error: why it failed or was quarantined; empty otherwise.
        progress: null unless it is under way.
        actions: what may be asked of it now.
        devices_missing: ordinals of the device's job that were never here, the first 1,000; nothing waits for
            them.
        devices_total: how many devices that job has; null while the last one has not told.
    """

    job_id: str
    device_id: str
    device_job: str
    ordinal: int
    folder: str | None
    destination: str
    endpoint: str
    phase: Phase
    paused: bool
    waiting: str | None
    created: str
    changed: str
    error: str
    counters: CountersView
    progress: ProgressView | None
    actions: list[Action]
    devices_missing: list[int] = []
    devices_total: int | None = None


class EntryView(Struct, frozen=True):
    """What became of one entry of a device; `error` is empty where it is in the bucket."""

    key: str
    size_bytes: int
    blake3: str
    etag: str
    error: str


class JobPage(Struct, frozen=True):
    """Jobs, newest first; `next` is the cursor of the following page, null behind the last."""

    items: list[JobView]
    next: str | None


class EntryPage(Struct, frozen=True):
    """Entries in the order of the device; `next` as in `JobPage`."""

    items: list[EntryView]
    next: str | None


class DeviceList(Struct, frozen=True):
    """All devices of the dock."""

    items: list[DeviceView]


class Change(Struct, frozen=True):
    """An event of the stream: the new state of one device or one job; the other is null."""

    device: DeviceView | None
    job: JobView | None
