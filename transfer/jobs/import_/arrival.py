"""A device as it arrives: seal, segments and the presence of packs are checked before anything is sent.

Packs are checked later, while they are read. Segments that are not what they were are left out as a whole:
each was a finding, and what they described cannot be trusted. So every record that an import acts on was
under a digest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from transfer.core.merge import PathRecord, SpottedRecord, merge_runs
from transfer.core.records import Header
from transfer.device.device import Device, open_device
from transfer.device.encryption import NO_KEYS, Keys, require_open, unlocked
from transfer.device.layout import Layout
from transfer.device.manifest import Manifest, segment_records
from transfer.device.raw_read import DigestReader
from transfer.errors import DeviceError, IntegrityError
from transfer.formats.allowed_signers import AllowedSigners
from transfer.jobs.verify.findings import Finding
from transfer.jobs.verify.signed import CODES as SIGNATURE_CODES
from transfer.jobs.verify.stored import StoredFiles, check_digests, check_presence, expected_files

_FATAL = frozenset({"seal-invalid", "seal-foreign"})
_LOSES_SEGMENT = frozenset(
    {"segment-altered", "segment-invalid", "seal-disagrees", "unreadable", "segment-extra"}
)
_NEW_SHIPMENT = "run `transfer verify` for the whole picture, and ask the sender for a new shipment"


@dataclass(frozen=True)
class Arrival:
    """A device that was looked at on arrival; `manifest` has the segments that can be trusted."""

    device: Device
    files: StoredFiles
    manifest: Manifest
    seal_blake3: str


def receive(
    root: str,
    incomplete: bool,
    report: Callable[[Finding], None],
    keys: Keys = NO_KEYS,
    signers: AllowedSigners | None = None,
    *,
    reads_segments: bool = True,
) -> Arrival:
    """Check a device on arrival.

    Args:
        root: its folder.
        incomplete: take it unsealed, or sealed before its last copy ended.
        report: told what is wrong with it.
        keys: what opens it, if it is encrypted.
        signers: whose signatures count; None: it need not be signed.
        reads_segments: hold all segments against their digests; else `lost_segments` has to be asked of those
            that are used.

    Raises:
        DeviceError: there is no device, or one that is not to be taken.
        IntegrityError: seal or signature cannot be trusted, or nothing of the manifest.
        AccessError: it is encrypted, and nothing was given that opens it.
    """
    device = unlocked(open_device(root), keys)
    require_open(device)
    if not device.is_sealed and not incomplete:
        remedy = "seal it with `transfer seal`, or say --incomplete"
        raise DeviceError(f"device {root} is not sealed", remedy=remedy)
    found: list[Finding] = []
    files = expected_files(device, found.append, signers)
    _refuse_bad_seal(root, found, _FATAL if signers is None else _FATAL | SIGNATURE_CODES)
    if files.seal is None and (device.is_sealed or not incomplete):
        raise IntegrityError(f"the seal of {root} cannot be read", remedy=_NEW_SHIPMENT)
    if files.seal is not None and not incomplete and not files.seal.complete:
        what = f"device {root} was sealed before its last copy ended"
        raise DeviceError(what, remedy="say --incomplete to import what is there")
    check_presence(device, files, found.append)
    checked = files if reads_segments else replace(files, segments={})
    _check_small_files(device, checked, found.append)
    lost = _lost_by(found, device.layout)
    headers = [header for number, header in sorted(files.headers.items()) if number not in lost]
    if files.seal is None:
        headers = [header for header in headers if _is_whole(device, header, found.append)]
    if not headers and (files.segments or found):
        raise IntegrityError(f"no segment of {root} is whole", remedy=_NEW_SHIPMENT)
    for finding in found:
        report(finding)
    return Arrival(device, files, Manifest(device, headers), files.seal_blake3)


def lost_segments(arrival: Arrival, numbers: set[int], report: Callable[[Finding], None]) -> set[int]:
    """Which of these segments cannot be trusted, where `receive` did not read them."""
    found: list[Finding] = []
    segments = {number: stored for number, stored in arrival.files.segments.items() if number in numbers}
    _check_small_files(arrival.device, replace(arrival.files, segments=segments, others=[]), found.append)
    for finding in found:
        report(finding)
    return _lost_by(found, arrival.device.layout)


def _refuse_bad_seal(root: str, found: list[Finding], codes: frozenset[str]) -> None:
    fatal = next((finding for finding in found if finding.code in codes), None)
    if fatal is not None:
        raise IntegrityError(f"the seal of {root} cannot be trusted: {fatal}", remedy=_NEW_SHIPMENT)


def _check_small_files(device: Device, files: StoredFiles, report: Callable[[Finding], None]) -> None:
    """The digests of all but the packs."""
    reader = DigestReader()
    try:
        check_digests(device, replace(files, packs={}), reader, report, lambda count: None)
    finally:
        reader.close()


def _lost_by(found: list[Finding], layout: Layout) -> set[int]:
    return {number for finding in found if (number := _segment_lost_by(finding, layout)) is not None}


def _segment_lost_by(finding: Finding, layout: Layout) -> int | None:
    """The number of the segment that cannot be trusted after this finding."""
    if finding.code not in _LOSES_SEGMENT:
        return None
    name = finding.file.rpartition("/")[2]
    return layout.pack_number(name) if finding.code == "seal-disagrees" else layout.segment_number(name)


def _is_whole(device: Device, header: Header, report: Callable[[Finding], None]) -> bool:
    """Whether a segment that no seal vouches for matches its own digest, which stands at its end."""
    try:
        for _ in segment_records(device, header.sequence):
            pass
    except IntegrityError as error:
        name = device.layout.segment_file(header.sequence)
        report(Finding(code="segment-invalid", file=name, detail=str(error)))
        return False
    return True


def run_records(manifest: Manifest, run: int) -> Iterator[PathRecord]:
    """The records of one run; a segment that breaks off is left there, whoever reads its pack reports it."""
    for header in manifest.headers:
        if header.run == run:
            try:
                yield from Manifest(manifest.device, [header]).run_records(run)
            except IntegrityError:
                continue


def merged(manifest: Manifest, after: bytes = b"") -> Iterator[SpottedRecord]:
    """The merged view of the segments that can be read, behind path `after`, each record with its place on
    the device.
    """
    return merge_runs([_spotted_records(manifest, run, after) for run in manifest.runs])


def _spotted_records(manifest: Manifest, run: int, after: bytes) -> Iterator[SpottedRecord]:
    for header in manifest.headers:
        if header.run == run:
            try:
                yield from Manifest(manifest.device, [header]).spotted_records(run, after)
            except IntegrityError:
                continue
