"""The seal against the device that it is on: its identity, its order, its sums."""

from __future__ import annotations

from collections.abc import Mapping

from transfer.core.records import Header
from transfer.device.device import Device
from transfer.device.layout import (
    DEVICE_NAME,
    PACKS,
    RECOVERY_NAME,
    SCRIPT_NAME,
    SEAL_NAME,
    pack_name,
    segment_name,
)
from transfer.errors import IntegrityError
from transfer.formats.documents import SealDocument, Totals
from transfer.jobs.verify.findings import Finding, Report


def read_seal(device: Device, report: Report) -> SealDocument | None:
    """The seal; None when there is none, or it cannot be trusted, which is reported.

    Raises:
        DeviceError: it cannot be read.
    """
    if not device.is_sealed:
        return None
    try:
        seal = device.seal()
    except IntegrityError as error:
        detail = str(error).removeprefix(f"{SEAL_NAME}: ")
        report(Finding(code="seal-invalid", file=SEAL_NAME, detail=detail))
        return None
    document = device.document
    if (seal.device_id, seal.job, seal.ordinal) != (document.device_id, document.job, document.ordinal):
        detail = f"it seals device {seal.device_id}, number {seal.ordinal} of job {seal.job}"
        report(Finding(code="seal-foreign", file=SEAL_NAME, detail=detail))
        return None
    if detail := _list_defect(seal):
        report(Finding(code="seal-invalid", file=SEAL_NAME, detail=detail))
        return None
    return seal


def _list_defect(seal: SealDocument) -> str:
    """What is wrong with the lists of files (FORMAT.md §12), in words; empty when nothing is."""
    if [file.name for file in seal.files] != [DEVICE_NAME, RECOVERY_NAME, SCRIPT_NAME]:
        return f"files are not {DEVICE_NAME}, {RECOVERY_NAME} and {SCRIPT_NAME}"
    count = len(seal.packs)
    in_order = [file.name for file in seal.packs] == [pack_name(number) for number in range(count)]
    in_order &= [file.name for file in seal.segments] == [segment_name(number) for number in range(count)]
    return "" if in_order else "packs and segments are not numbered from 0 in pairs"


def compare_with_headers(seal: SealDocument, headers: Mapping[int, Header], report: Report) -> None:
    """What the seal says of the packs must be what the segments say."""
    for number, pack in enumerate(seal.packs):
        header = headers.get(number)
        stated = (pack.size_bytes, pack.blake3)
        if header is not None and stated != (header.pack_size_bytes, header.pack_blake3):
            detail = "the seal lists another file than the segment"
            report(Finding(code="seal-disagrees", file=f"{PACKS}/{pack.name}", detail=detail))


def compare_totals(
    seal: SealDocument, headers: Mapping[int, Header], failed: int, skipped: int, report: Report
) -> None:
    """The seal's sums must be those of all segments, which were read to their end."""
    sums = Totals(
        entries=sum(header.entries for header in headers.values()),
        content_bytes=sum(header.content_bytes for header in headers.values()),
        stored_bytes=sum(file.size_bytes for file in (*seal.packs, *seal.segments)),
        failed=failed,
        skipped=skipped,
    )
    is_complete = not headers or headers[max(headers)].run_complete
    if (seal.totals, seal.complete) != (sums, is_complete):
        detail = "its totals are not those of the segments"
        report(Finding(code="seal-disagrees", file=SEAL_NAME, detail=detail))
