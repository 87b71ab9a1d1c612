"""info: what a device is and holds, from its documents and the headers of its segments."""

from __future__ import annotations

import os
from itertools import groupby

from msgspec import Struct

from transfer.core.records import Header
from transfer.device.device import open_device, take_inventory
from transfer.device.disk import device_errors
from transfer.device.manifest import read_manifest
from transfer.formats.documents import DeviceDocument


class RunSummary(Struct):
    """One run: what it brought, and whether it ended."""

    run: int
    source: str
    started: str
    complete: bool
    packs: int
    entries: int
    content_bytes: int
    stored_bytes: int


class DeviceSummary(Struct):
    """A device in short; sizes in bytes."""

    path: str
    state: str
    device: DeviceDocument
    runs: list[RunSummary]
    packs: int
    entries: int
    content_bytes: int
    stored_bytes: int
    free_bytes: int
    room_bytes: int
    sealed: str | None = None
    failed: int | None = None
    skipped: int | None = None


def info(root: str) -> DeviceSummary:
    """Look at a device.

    Raises:
        DeviceError: there is none.
        IntegrityError: its documents or headers break the format.
    """
    device = open_device(root)
    manifest = read_manifest(device, take_inventory(device.layout).segments)
    document, headers = device.document, manifest.headers
    seal = device.seal() if device.is_sealed else None
    with device_errors(root):
        status = os.statvfs(root)
        segments = sum(os.stat(device.layout.segment(header.sequence)).st_size for header in headers)
    stored = segments + sum(header.pack_size_bytes for header in headers)
    free = status.f_bavail * status.f_frsize
    room = free if document.capacity_bytes is None else min(free, document.capacity_bytes - stored)
    return DeviceSummary(
        path=root,
        state="sealed"
        if seal
        else "prepared"
        if not headers
        else "open"
        if headers[-1].run_complete
        else "interrupted",
        device=document,
        runs=[_summary(list(group)) for _, group in groupby(headers, key=lambda header: header.run)],
        packs=len(headers),
        entries=sum(header.entries for header in headers),
        content_bytes=sum(header.content_bytes for header in headers),
        stored_bytes=stored,
        free_bytes=free,
        room_bytes=0 if seal else max(0, room - document.reserve_bytes),
        sealed=seal.sealed if seal else None,
        failed=seal.totals.failed if seal else None,
        skipped=seal.totals.skipped if seal else None,
    )


def _summary(headers: list[Header]) -> RunSummary:
    return RunSummary(
        run=headers[0].run,
        source=headers[0].source,
        started=headers[0].run_started,
        complete=headers[-1].run_complete,
        packs=len(headers),
        entries=sum(header.entries for header in headers),
        content_bytes=sum(header.content_bytes for header in headers),
        stored_bytes=sum(header.pack_size_bytes for header in headers),
    )
