"""info: what a device is and holds, from its documents and the headers of its segments."""

from __future__ import annotations

import os
from itertools import groupby

from msgspec import Struct

from transfer.core.records import Header
from transfer.device.device import Inventory, open_device, take_inventory
from transfer.device.disk import device_errors
from transfer.device.encryption import NO_KEYS, Keys, unlocked
from transfer.device.layout import Layout
from transfer.device.manifest import read_manifest
from transfer.formats.documents import DeviceDocument, SealDocument


class RunSummary(Struct):
    """One run: what it brought, and whether it ended; `continues`: on another device."""

    run: int
    source: str
    started: str
    complete: bool
    packs: int
    entries: int
    content_bytes: int
    stored_bytes: int
    continues: bool = False


class DeviceSummary(Struct):
    """A device in short; sizes in bytes. Of one that is locked nobody can say what is in it."""

    path: str
    state: str
    device: DeviceDocument
    runs: list[RunSummary]
    packs: int
    entries: int | None
    content_bytes: int | None
    stored_bytes: int
    free_bytes: int
    room_bytes: int
    locked: bool = False
    sealed: str | None = None
    failed: int | None = None
    skipped: int | None = None


def info(root: str, keys: Keys = NO_KEYS) -> DeviceSummary:
    """Look at a device.

    Raises:
        DeviceError: there is none.
        AccessError: an identity was given that does not open it.
        IntegrityError: its documents or headers break the format.
    """
    device = unlocked(open_device(root), keys)
    inventory = take_inventory(device.layout)
    headers = [] if device.is_locked else read_manifest(device, inventory.segments).headers
    document, seal = device.document, device.seal() if device.is_sealed else None
    with device_errors(root):
        status = os.statvfs(root)
        stored = _stored_bytes(device.layout, len(inventory.segments))
    free = status.f_bavail * status.f_frsize
    room = free if document.capacity_bytes is None else min(free, document.capacity_bytes - stored)
    return DeviceSummary(
        path=root,
        state=_state(seal, inventory, headers),
        device=document,
        runs=[_summary(list(group)) for _, group in groupby(headers, key=lambda header: header.run)],
        packs=len(inventory.segments),
        entries=None if device.is_locked else sum(header.entries for header in headers),
        content_bytes=None if device.is_locked else sum(header.content_bytes for header in headers),
        stored_bytes=stored,
        free_bytes=free,
        room_bytes=0 if seal else max(0, room - document.reserve_bytes),
        sealed=seal.sealed if seal else None,
        failed=seal.totals.failed if seal and seal.totals else None,
        skipped=seal.totals.skipped if seal and seal.totals else None,
        locked=device.is_locked,
    )


def _stored_bytes(layout: Layout, committed: int) -> int:
    """What the committed packs and their segments take, as far as they are there."""
    files = [place(number) for number in range(committed) for place in (layout.pack, layout.segment)]
    return sum(os.lstat(path).st_size for path in files if os.path.lexists(path))


def _state(seal: SealDocument | None, inventory: Inventory, headers: list[Header]) -> str:
    if seal is not None:
        return "sealed"
    if not inventory.segments:
        return "prepared"
    return "open" if not headers or headers[-1].run_complete else "interrupted"


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
        continues=headers[-1].continues,
    )
