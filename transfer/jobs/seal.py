"""seal: close a device with the list of everything on it (FORMAT.md §12)."""

from __future__ import annotations

import os
from dataclasses import dataclass

from blake3 import blake3

from transfer import __version__
from transfer.core.records import Failed, Header, Skipped
from transfer.device.clock import timestamp
from transfer.device.device import Device, open_device
from transfer.device.disk import device_errors, write_durably
from transfer.device.layout import (
    DEVICE_NAME,
    RECOVERY_NAME,
    SCRIPT_NAME,
    SEAL_NAME,
    pack_name,
    segment_name,
)
from transfer.device.lock import locked
from transfer.device.manifest import Manifest, open_regular, segment_records
from transfer.device.writer import remove_reserve
from transfer.errors import DeviceError, IntegrityError
from transfer.formats.documents import SealDocument, SealedFile, Totals, encode
from transfer.jobs.copy.resume import find_resume_point


@dataclass(frozen=True)
class Sealed:
    """The seal, and the digest of its exact bytes."""

    document: SealDocument
    blake3: str


def seal(root: str, *, allow_incomplete: bool = False, dry_run: bool = False) -> Sealed:
    """Seal a device.

    Args:
        root: the device.
        allow_incomplete: seal even when the last copy did not end.
        dry_run: check and compute, write nothing.

    Raises:
        DeviceError: it is sealed already, incomplete, or lacks a file.
        IntegrityError: its manifest is damaged, or a pack has another size than its segment says.
        LockedError: a copy is at work.
    """
    device = open_device(root)
    device.refuse_if_sealed()
    with locked(device.layout, "seal"):
        device.refuse_if_sealed()
        point = find_resume_point(device, clean=not dry_run)
        if point.is_open and not allow_incomplete:
            raise DeviceError(
                f"the last copy to {root} did not end",
                remedy="give the same copy command again, or say --incomplete",
            )
        with device_errors(root):
            document = _document(device, point.manifest, complete=not point.is_open)
            text = encode(document)
            if not dry_run:
                remove_reserve(device)
                write_durably(device.layout.at(SEAL_NAME), text)
    return Sealed(document, blake3(text).hexdigest())


def _document(device: Device, manifest: Manifest, *, complete: bool) -> SealDocument:
    layout, identity = device.layout, device.document
    others = [_stored(layout.at(name), name) for name in (DEVICE_NAME, RECOVERY_NAME, SCRIPT_NAME)]
    packs = [_pack(device, header) for header in manifest.headers]
    segments = [
        _stored(layout.segment(header.sequence), segment_name(header.sequence)) for header in manifest.headers
    ]
    return SealDocument(
        device_id=identity.device_id,
        job=identity.job,
        ordinal=identity.ordinal,
        generation=1,
        sealed=timestamp(),
        software=f"transfer {__version__}",
        complete=complete,
        files=others,
        packs=packs,
        segments=segments,
        totals=_totals(device, manifest, sum(file.size_bytes for file in (*packs, *segments))),
    )


def _pack(device: Device, header: Header) -> SealedFile:
    """A pack as its segment recorded it when it was written; reading it all again is what verify is for."""
    name = pack_name(header.sequence)
    size = os.stat(device.layout.pack(header.sequence)).st_size
    if size != header.pack_size_bytes:
        raise IntegrityError(
            f"pack {name} has {size} bytes, its segment says {header.pack_size_bytes}",
            remedy="run `transfer verify`, and copy to another device",
        )
    return SealedFile(name, header.pack_size_bytes, header.pack_blake3)


def _stored(path: str, name: str) -> SealedFile:
    hasher, size = blake3(), 0
    with open_regular(path) as file:
        while block := file.read(1 << 20):
            hasher.update(block)
            size += len(block)
    return SealedFile(name, size, hasher.hexdigest())


def _totals(device: Device, manifest: Manifest, stored_bytes: int) -> Totals:
    """Sums of all segments; reading them proves that they are whole before they are sealed."""
    failed = skipped = 0
    for header in manifest.headers:
        for block in segment_records(device, header.sequence):
            failed += sum(isinstance(record, Failed) for record in block)
            skipped += sum(isinstance(record, Skipped) for record in block)
    return Totals(
        entries=sum(header.entries for header in manifest.headers),
        content_bytes=sum(header.content_bytes for header in manifest.headers),
        stored_bytes=stored_bytes,
        failed=failed,
        skipped=skipped,
    )
