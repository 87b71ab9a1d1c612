"""The two records that a dock keeps of a shipment, in its folder .tracking.

`<device_id>.json` tells where the device is and was, `<device_id>.faults.json` what was done to it on
request. Both are strict as the documents of a device are: no unknown fields, no missing ones, the version
first. Records of one shipment have the same `shipment_id`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from transfer.core.faults import AnyFault
from transfer.core.paths import from_text
from transfer.core.tracking import Event, Moment, Route, State, check_events
from transfer.errors import FormatError
from transfer.formats.documents import Job, Number, Ordinal, Uuid
from transfer.formats.versioned import DocumentReader

TRACKING_FOLDER = ".tracking"
"""Of a dock."""
MAX_TRACKING_BYTES = 1 << 20
MAX_FAULTS_BYTES = 8 << 20
MAX_SEED = 2**63 - 1

_VERSION = 1

Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?!\n)$")]
Seed = Annotated[int, Meta(ge=0, le=MAX_SEED)]
Given = Annotated[str, Meta(max_length=64)]


class TrackingDocument(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """`<device_id>.json`.

    Attributes:
        shipment_id: new for every shipment.
        device_id, job, ordinal, profile: what DEVICE.json says.
        seal_blake3: of the exact bytes of SEAL.json; by it the device is known again.
        source: where the device was taken from, resolved; empty where that is no UTF-8: then `source_base64`
            has it, as FORMAT.md §5 writes paths.
        folder: its name in the dock.
        move: the original is removed.
        carried_by: `copy`: the files are copied; `rename`: they only change their place, on one disk.
        route: how long it takes.
        due: the simulated moment of delivery.
        faults: what was asked for, as it was written.
        seed: what the chance of the faults began with; null where there are none.
        files, size_bytes: what travels.
        loaded: every file is in the carrier's hands: durable in the dock, though not under its name yet.
        source_removed: after a move, the original is gone.
        events: the states so far.
    """

    format: Literal["transfer-tracking"] = "transfer-tracking"
    format_version: Literal[1] = 1
    shipment_id: Uuid
    device_id: Uuid
    job: Job
    ordinal: Ordinal
    profile: Annotated[str, Meta(min_length=1, max_length=128)]
    seal_blake3: Digest
    source: str
    source_base64: str
    folder: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,67}(?!\n)$")]
    move: bool
    carried_by: Literal["copy", "rename"]
    route: Route
    due: Moment
    faults: Annotated[list[Given], Meta(max_length=10_000)]
    seed: Seed | None
    files: Number
    size_bytes: Number
    loaded: bool
    source_removed: bool
    events: Annotated[tuple[Event, ...], Meta(min_length=1)]

    @property
    def state(self) -> State:
        """Where the device is now."""
        return self.events[-1].state

    @property
    def source_bytes(self) -> bytes:
        """The path that the device was taken from."""
        return from_text(self.source, self.source_base64)


class FaultsDocument(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """`<device_id>.faults.json`: what the carrier did to the device, exactly."""

    format: Literal["transfer-faults"] = "transfer-faults"
    format_version: Literal[1] = 1
    shipment_id: Uuid
    device_id: Uuid
    seed: Seed
    faults: list[AnyFault]


_tracking_reader = DocumentReader(TrackingDocument, version=_VERSION, limit_bytes=MAX_TRACKING_BYTES)
_faults_reader = DocumentReader(FaultsDocument, version=_VERSION, limit_bytes=MAX_FAULTS_BYTES)


def encode(document: TrackingDocument | FaultsDocument) -> bytes:
    """The document's file bytes: indented, one newline at the end."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode_tracking(text: bytes, where: str) -> TrackingDocument:
    """A tracking record from its bytes.

    Raises:
        FormatError: naming `where` and what is wrong, the order of the states included.
    """
    document = _tracking_reader.decode(text, where)
    try:
        check_events(document.events)
        _ = document.source_bytes
    except FormatError as error:
        raise FormatError(f"{where}: {error}") from None
    return document


def decode_faults(text: bytes, where: str) -> FaultsDocument:
    """A record of faults from its bytes.

    Raises:
        FormatError: naming `where` and what is wrong.
    """
    return _faults_reader.decode(text, where)
