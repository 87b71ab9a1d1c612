"""The stored files against seal and segments: every byte is read past the page cache, nothing is decompressed but headers."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from transfer.core.records import Header
from transfer.device.device import Device, take_inventory
from transfer.device.layout import PACKS, PARTIAL_SUFFIX, SEGMENTS, pack_name, segment_name
from transfer.device.manifest import segment_header
from transfer.device.raw_read import DigestReader
from transfer.errors import DeviceError, IntegrityError
from transfer.formats.documents import SealDocument, SealedFile
from transfer.jobs.verify.findings import Finding, Report


@dataclass(frozen=True)
class Expected:
    """What a stored file must be; the digest is empty where nobody knows."""

    size_bytes: int
    blake3: str


@dataclass
class StoredFiles:
    """What seal and segments say of the device's files."""

    packs: dict[int, Expected]
    segments: dict[int, Expected]
    others: list[SealedFile]
    headers: dict[int, Header]


def expected_files(device: Device, report: Report) -> StoredFiles:
    """What must be there: by the seal where there is one, else by the segments' headers."""
    inventory = take_inventory(device.layout)
    headers = _headers(device, inventory.segments, report)
    if not device.is_sealed:
        segments = {number: Expected(os.stat(device.layout.segment(number)).st_size, "") for number in inventory.segments}
        packs = {number: Expected(header.pack_size_bytes, header.pack_blake3) for number, header in headers.items()}
        return StoredFiles(packs, segments, [], headers)
    seal = _seal(device, report)
    if seal is None:
        return StoredFiles({}, {}, [], headers)
    files = StoredFiles(
        packs={number: Expected(file.size_bytes, file.blake3) for number, file in enumerate(seal.packs)},
        segments={number: Expected(file.size_bytes, file.blake3) for number, file in enumerate(seal.segments)},
        others=seal.files,
        headers=headers,
    )
    _compare_with_headers(files, report)
    return files


def _headers(device: Device, numbers: list[int], report: Report) -> dict[int, Header]:
    headers: dict[int, Header] = {}
    for number in numbers:
        try:
            headers[number] = segment_header(device, number)
        except IntegrityError as error:
            report(Finding(code="segment-invalid", file=_segment(number), detail=str(error)))
        except (OSError, DeviceError) as error:
            report(Finding(code="unreadable", file=_segment(number), detail=str(error)))
    return headers


def _seal(device: Device, report: Report) -> SealDocument | None:
    try:
        seal = device.seal()
    except IntegrityError as error:
        report(Finding(code="seal-invalid", file="SEAL.json", detail=str(error)))
        return None
    document = device.document
    if (seal.device_id, seal.job, seal.ordinal) != (document.device_id, document.job, document.ordinal):
        report(Finding(code="seal-foreign", file="SEAL.json", detail=f"it seals device {seal.device_id} of job {seal.job}"))
        return None
    in_order = [file.name for file in seal.packs] == [pack_name(number) for number in range(len(seal.packs))]
    in_order &= [file.name for file in seal.segments] == [segment_name(number) for number in range(len(seal.segments))]
    if not in_order or len(seal.packs) != len(seal.segments):
        report(Finding(code="seal-invalid", file="SEAL.json", detail="packs and segments are not numbered from 0 in pairs"))
        return None
    return seal


def _compare_with_headers(files: StoredFiles, report: Report) -> None:
    for number, header in files.headers.items():
        pack = files.packs.get(number)
        if pack is not None and (pack.size_bytes, pack.blake3) != (header.pack_size_bytes, header.pack_blake3):
            report(Finding(code="seal-disagrees", file=_pack(number), detail="the seal lists another file than the segment"))


def check_presence(device: Device, files: StoredFiles, report: Report) -> None:
    """Which files are missing, which are too many."""
    inventory = take_inventory(device.layout)
    for code, there, wanted, name in (
        ("pack", inventory.packs, files.packs, _pack),
        ("segment", inventory.segments, files.segments, _segment),
    ):
        for number in sorted(wanted.keys() - set(there)):
            report(Finding(code=f"{code}-missing", file=name(number)))
        for number in sorted(set(there) - wanted.keys()):
            uncommitted = not device.is_sealed and code == "pack"
            report(Finding(code="uncommitted" if uncommitted else f"{code}-extra", file=name(number)))
    for number in _holes(files.segments):
        report(Finding(code="segment-missing", file=_segment(number)))
    for name_ in inventory.strangers:
        partial = name_.endswith(PARTIAL_SUFFIX) and not device.is_sealed
        report(Finding(code="uncommitted" if partial else "stranger", file=name_))


def _holes(numbers: dict[int, Expected]) -> list[int]:
    return [number for number in range(max(numbers, default=-1) + 1) if number not in numbers]


def check_digests(device: Device, files: StoredFiles, reader: DigestReader, report: Report, on_bytes: Callable[[int], None]) -> None:
    """Read every file and compare size and digest."""
    layout = device.layout
    for file in files.others:
        expected = Expected(file.size_bytes, file.blake3)
        if (found := _read(layout.at(file.name), file.name, "file", reader, report, on_bytes)) not in (None, expected):
            report(Finding(code="file-altered", file=file.name, detail="size or BLAKE3 differs from the seal"))
    for number, expected in sorted(files.segments.items()):
        found = _read(layout.segment(number), _segment(number), "", reader, report, on_bytes)
        if found is not None and expected.blake3 and found != expected:
            report(Finding(code="segment-altered", file=_segment(number), detail="size or BLAKE3 differs from the seal"))
    for number, expected in sorted(files.packs.items()):
        found = _read(layout.pack(number), _pack(number), "", reader, report, on_bytes)
        if found is not None and found != expected:
            report(pack_finding(files, number, expected, found))


def _read(
    path: str, name: str, missing: str, reader: DigestReader, report: Report, on_bytes: Callable[[int], None]
) -> Expected | None:
    try:
        return Expected(*reader.digest(path, on_bytes))
    except FileNotFoundError:
        if missing:  # packs and segments were reported by `check_presence`
            report(Finding(code=f"{missing}-missing", file=name))
    except (OSError, IntegrityError) as error:
        report(Finding(code="unreadable", file=name, detail=str(error)))
    return None


def pack_finding(files: StoredFiles, number: int, expected: Expected, found: Expected) -> Finding:
    """What is wrong with a pack whose stored bytes are not the expected ones."""
    twin = next((other for other, pack in files.packs.items() if pack == found and other != number), None)
    if twin is not None:
        return Finding(code="pack-swapped", file=_pack(number), detail=f"it holds the bytes of {_pack(twin)}")
    if found.size_bytes < expected.size_bytes:
        detail = f"{found.size_bytes} bytes instead of {expected.size_bytes}"
        return Finding(code="pack-truncated", file=_pack(number), detail=detail)
    return Finding(code="pack-altered", file=_pack(number), detail="BLAKE3 differs")


def _pack(number: int) -> str:
    return f"{PACKS}/{pack_name(number)}"


def _segment(number: int) -> str:
    return f"{SEGMENTS}/{segment_name(number)}"
