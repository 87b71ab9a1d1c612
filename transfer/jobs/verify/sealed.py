"""The seal against the device that it is on: its identity, its order, its sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import UNSET

from transfer.core.records import Header
from transfer.device.device import Device
from transfer.device.layout import PACKS, SEAL_NAME, Layout, sealed_names
from transfer.device.signature import SignedBy
from transfer.errors import IntegrityError
from transfer.formats.allowed_signers import AllowedSigners
from transfer.formats.documents import SealDocument, Totals, decode_seal
from transfer.jobs.verify.findings import Finding, Report
from transfer.jobs.verify.signed import check_signature, refuse_unsealed


@dataclass(frozen=True)
class ReadSeal:
    """A seal as it was read, once: what is held against it is what was signed.

    Attributes:
        text: its exact bytes.
        signed_by: whose signature it has; None where it has none that counts.
    """

    document: SealDocument
    text: bytes
    signed_by: SignedBy | None


def read_seal(device: Device, report: Report, signers: AllowedSigners | None = None) -> ReadSeal | None:
    """The seal; None when there is none, or it cannot be used, which is reported.

    Args:
        device: it may have one.
        report: told what is wrong with seal and signature.
        signers: whose signatures count; None: it need not be signed.

    Raises:
        DeviceError: it cannot be read.
    """
    if not device.is_sealed:
        if signers is not None:
            refuse_unsealed(report)
        return None
    text = device.seal_text()
    signed_by = check_signature(device, text, signers, report)
    document = _checked(device, text, report)
    return None if document is None else ReadSeal(document, text, signed_by)


def _checked(device: Device, text: bytes, report: Report) -> SealDocument | None:
    """The seal, if it is one and this device's."""
    try:
        seal = decode_seal(text, SEAL_NAME)
    except IntegrityError as error:
        detail = str(error).removeprefix(f"{SEAL_NAME}: ")
        report(Finding(code="seal-invalid", file=SEAL_NAME, detail=detail))
        return None
    document = device.document
    if (seal.device_id, seal.job, seal.ordinal) != (document.device_id, document.job, document.ordinal):
        detail = f"it seals device {seal.device_id}, number {seal.ordinal} of job {seal.job}"
        report(Finding(code="seal-foreign", file=SEAL_NAME, detail=detail))
        return None
    if detail := _list_defect(seal, device.layout):
        report(Finding(code="seal-invalid", file=SEAL_NAME, detail=detail))
        return None
    return seal


def _list_defect(seal: SealDocument, layout: Layout) -> str:
    """What is wrong with the lists of files (FORMAT.md §12), in words; empty when nothing is."""
    files = list(sealed_names(layout))
    if [file.name for file in seal.files] != files:
        return f"files are not {', '.join(files)}"
    if (seal.totals is UNSET) != layout.is_encrypted:
        return "it tells its totals" if layout.is_encrypted else "it does not tell its totals"
    if (seal.previous_seal is UNSET) != (seal.generation == 1):
        return f"generation {seal.generation} and previous_seal do not fit"
    numbers = range(len(seal.packs))
    in_order = [file.name for file in seal.packs] == [layout.pack_name(number) for number in numbers]
    in_order &= [file.name for file in seal.segments] == [layout.segment_name(number) for number in numbers]
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
    if seal.complete != is_complete or seal.totals not in (sums, UNSET):
        detail = "its totals are not those of the segments"
        report(Finding(code="seal-disagrees", file=SEAL_NAME, detail=detail))
