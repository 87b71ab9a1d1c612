"""The stored files against seal and segments.

Every byte is read past the page cache; nothing is decompressed but the headers of segments.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from blake3 import blake3

from transfer.core.records import Header
from transfer.device.device import Device, take_inventory
from transfer.device.encryption import require_open
from transfer.device.layout import (
    DEVICE_NAME,
    PARTIAL_SUFFIX,
    RECOVERY_NAME,
    SCRIPT_NAME,
    SEAL_NAME,
    Layout,
)
from transfer.device.manifest import segment_header
from transfer.device.raw_read import DigestReader
from transfer.device.signature import SignedBy
from transfer.errors import DeviceError, FormatError, IntegrityError
from transfer.formats.allowed_signers import AllowedSigners
from transfer.formats.documents import SealDocument, SealedFile
from transfer.jobs.verify.findings import Finding, Report
from transfer.jobs.verify.sealed import compare_with_headers, read_seal

Value = TypeVar("Value")

_DURABLE_NAMES = (DEVICE_NAME, RECOVERY_NAME, SCRIPT_NAME, SEAL_NAME)


@dataclass(frozen=True)
class Expected:
    """What a stored file must be; the digest is empty where nobody knows."""

    size_bytes: int
    blake3: str


@dataclass
class StoredFiles:
    """What seal and segments say of the device's files.

    Attributes:
        seal: it is there when it can be trusted.
        seal_blake3: of its exact bytes; empty where there is none.
        signed_by: whose signature it has; None where it has none that counts.
    """

    layout: Layout
    packs: dict[int, Expected]
    segments: dict[int, Expected]
    others: list[SealedFile]
    headers: dict[int, Header]
    seal: SealDocument | None = None
    seal_blake3: str = ""
    signed_by: SignedBy | None = None


def expected_files(device: Device, report: Report, signers: AllowedSigners | None = None) -> StoredFiles:
    """What must be there: by the seal where there is a valid one, else by the segments' headers.

    Args:
        device: that they are on.
        report: told what is wrong.
        signers: whose signatures count; None: the seal need not be signed.

    Raises:
        DeviceError: the device is gone.
        AccessError: it is encrypted, has no seal to go by, and nothing opens it.
    """
    inventory = take_inventory(device.layout)
    headers = {} if device.is_locked else _headers(device, inventory.segments, report)
    read = _unless_unreadable(device, SEAL_NAME, report, lambda: read_seal(device, report, signers))
    if read is None:
        require_open(device)  # without a seal, what is to be there stands in the segments alone
        segments = {number: Expected(_size(device, number), "") for number in inventory.segments}
        packs = {
            number: Expected(header.pack_size_bytes, header.pack_blake3) for number, header in headers.items()
        }
        return StoredFiles(device.layout, packs, segments, [], headers)
    seal = read.document
    compare_with_headers(seal, headers, report)
    return StoredFiles(
        layout=device.layout,
        packs={number: Expected(file.size_bytes, file.blake3) for number, file in enumerate(seal.packs)},
        segments={
            number: Expected(file.size_bytes, file.blake3) for number, file in enumerate(seal.segments)
        },
        others=seal.files,
        headers=headers,
        seal=seal,
        seal_blake3=blake3(read.text).hexdigest(),
        signed_by=read.signed_by,
    )


def _headers(device: Device, numbers: list[int], report: Report) -> dict[int, Header]:
    headers: dict[int, Header] = {}
    for number in numbers:
        try:
            headers[number] = segment_header(device, number)
        except IntegrityError as error:
            detail = str(error).removeprefix(f"segment {number}: ")
            report(Finding(code="segment-invalid", file=device.layout.segment_file(number), detail=detail))
        except DeviceError as error:
            report_unreadable(device, device.layout.segment_file(number), error, report)
    return headers


def _size(device: Device, number: int) -> int:
    try:
        return os.lstat(device.layout.segment(number)).st_size
    except OSError:
        return 0  # reported where it is read


def check_presence(device: Device, files: StoredFiles, report: Report) -> None:
    """Which files are missing, which are too many."""
    inventory = take_inventory(device.layout)
    for code, there, wanted, name in (
        ("pack", inventory.packs, files.packs, device.layout.pack_file),
        ("segment", inventory.segments, files.segments, device.layout.segment_file),
    ):
        for number in sorted(wanted.keys() - set(there)):
            report(Finding(code=f"{code}-missing", file=name(number)))
        for number in sorted(set(there) - wanted.keys()):
            uncommitted = not device.is_sealed and code == "pack"
            report(Finding(code="uncommitted" if uncommitted else f"{code}-extra", file=name(number)))
    for number in _holes(files.segments):
        report(Finding(code="segment-missing", file=device.layout.segment_file(number)))
    partial_names = [name + PARTIAL_SUFFIX for name in _DURABLE_NAMES]
    strangers = [name for name in partial_names if os.path.lexists(device.layout.at(name))]
    for stranger in strangers + inventory.strangers:
        partial = stranger.endswith(PARTIAL_SUFFIX) and not device.is_sealed
        report(Finding(code="uncommitted" if partial else "stranger", file=stranger))


def _holes(numbers: dict[int, Expected]) -> list[int]:
    return [number for number in range(max(numbers, default=-1) + 1) if number not in numbers]


def check_digests(
    device: Device, files: StoredFiles, reader: DigestReader, report: Report, on_bytes: Callable[[int], None]
) -> None:
    """Read every file and compare size and digest.

    Raises:
        DeviceError: the device is gone.
    """
    layout = device.layout
    for file in files.others:
        expected = Expected(file.size_bytes, file.blake3)
        found = _read(device, file.name, reader, report, on_bytes)
        if found is None and not os.path.lexists(layout.at(file.name)):
            report(Finding(code="file-missing", file=file.name))
        elif found not in (None, expected):
            detail = "size or BLAKE3 differs from the seal"
            report(Finding(code="file-altered", file=file.name, detail=detail))
    for number, expected in sorted(files.segments.items()):
        found = _read(device, device.layout.segment_file(number), reader, report, on_bytes)
        if found is not None and expected.blake3 and found != expected:
            detail = "size or BLAKE3 differs from the seal"
            report(Finding(code="segment-altered", file=device.layout.segment_file(number), detail=detail))
    check_pack_digests(device, files, reader, report, on_bytes, numbers=files.packs)


def check_pack_digests(
    device: Device,
    files: StoredFiles,
    reader: DigestReader,
    report: Report,
    on_bytes: Callable[[int], None],
    *,
    numbers: Iterable[int],
) -> None:
    """Read some packs and compare size and digest.

    Raises:
        DeviceError: the device is gone.
    """
    for number in sorted(numbers):
        found = _read(device, device.layout.pack_file(number), reader, report, on_bytes)
        if found is not None and found != files.packs[number]:
            report(pack_finding(files, number, files.packs[number], found))


def _read(
    device: Device, name: str, reader: DigestReader, report: Report, on_bytes: Callable[[int], None]
) -> Expected | None:
    """Size and digest of a file; None when it is missing, or cannot be read, which is reported."""
    path = device.layout.at(name)
    found = _unless_unreadable(device, name, report, lambda: reader.digest(path, on_bytes))
    return None if found is None else Expected(*found)


def _unless_unreadable(device: Device, name: str, report: Report, read: Callable[[], Value]) -> Value | None:
    try:
        return read()
    except FileNotFoundError as error:
        refuse_if_gone(device, error)
    except (OSError, DeviceError, FormatError) as error:
        report_unreadable(device, name, error, report)
    return None


def report_unreadable(device: Device, name: str, error: Exception, report: Report) -> None:
    """Report a file that cannot be read.

    Raises:
        DeviceError: nothing can be read any more: the device is gone.
    """
    refuse_if_gone(device, error)
    report(Finding(code="unreadable", file=name, detail=str(error)))


def refuse_if_gone(device: Device, error: Exception) -> None:
    """Raise DeviceError when the device was taken away, which says nothing about its files."""
    if not os.path.lexists(device.layout.at(DEVICE_NAME)):
        remedy = "connect and mount it, then give the same command again"
        raise DeviceError(f"device {device.root} is gone", remedy=remedy) from error


def pack_finding(files: StoredFiles, number: int, expected: Expected, found: Expected) -> Finding:
    """What is wrong with a pack whose stored bytes are not the expected ones."""
    name = files.layout.pack_file(number)
    twin = next((other for other, pack in files.packs.items() if pack == found and other != number), None)
    if twin is not None:
        detail = f"it holds the bytes of {files.layout.pack_file(twin)}"
        return Finding(code="pack-swapped", file=name, detail=detail)
    if found.size_bytes < expected.size_bytes:
        detail = f"{found.size_bytes} bytes instead of {expected.size_bytes}"
        return Finding(code="pack-truncated", file=name, detail=detail)
    return Finding(code="pack-altered", file=name, detail="size or BLAKE3 differs")
