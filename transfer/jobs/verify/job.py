"""verify, the job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from transfer.core.progress import Progress
from transfer.device.device import Device, open_device
from transfer.device.manifest import Manifest
from transfer.device.raw_read import DigestReader
from transfer.errors import FormatError, IntegrityError
from transfer.jobs.verify.deep import DeepCheck, check_links
from transfer.jobs.verify.findings import Finding, Report
from transfer.jobs.verify.stored import StoredFiles, check_digests, check_presence, expected_files

MAX_LISTED_FINDINGS = 10_000


@dataclass
class Verification:
    """What was checked and what was found.

    Attributes:
        bytes: stored bytes that were read.
        records: records that were held against their frames (deep only).
        is_sealed: the comparison was with the seal; else with the segments alone.
        findings: the first MAX_LISTED_FINDINGS of `count`.
    """

    is_sealed: bool = False
    is_deep: bool = False
    packs: int = 0
    segments: int = 0
    bytes: int = 0
    records: int = 0
    count: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_valid(self) -> bool:
        """Whether nothing was found."""
        return not self.count


def verify(root: str, *, deep: bool, observe: Callable[[Progress], None], on_finding: Report, workers: int) -> Verification:
    """Check a device.

    Raises:
        DeviceError: there is no device, or it cannot be read at all.
    """
    result = Verification(is_deep=deep)

    def report(finding: Finding) -> None:
        result.count += 1
        if len(result.findings) < MAX_LISTED_FINDINGS:
            result.findings.append(finding)
        on_finding(finding)

    try:
        device = open_device(root)
    except FormatError as error:
        report(Finding(code="device-invalid", file="DEVICE.json", detail=str(error)))
        return result
    result.is_sealed = device.is_sealed
    files = expected_files(device, report)
    result.packs, result.segments = len(files.packs), len(files.segments)
    check_presence(device, files, report)
    _Reading(device, files, result, report, observe).run(workers)
    _check_completeness(device, files, report)
    return result


class _Reading:
    """The part that reads the bytes."""

    def __init__(
        self, device: Device, files: StoredFiles, result: Verification, report: Report, observe: Callable[[Progress], None]
    ) -> None:
        self._device = device
        self._files = files
        self._result = result
        self._report = report
        self._observe = observe
        stored = [*files.packs.values(), *files.segments.values()]
        self._total = sum(file.size_bytes for file in stored)

    def run(self, workers: int) -> None:
        reader = DigestReader(workers)
        files = self._files
        try:
            if not self._result.is_deep:
                check_digests(self._device, files, reader, self._report, self._on_bytes)
                return
            packs, files.packs = files.packs, {}
            check_digests(self._device, files, reader, self._report, self._on_bytes)
            files.packs = packs
        finally:
            reader.close()
        check = DeepCheck(self._device, files, self._report, self._on_bytes, workers)
        try:
            check.check()
        finally:
            check.close()
        self._result.records = check.entries

    def _on_bytes(self, count: int) -> None:
        self._result.bytes += count
        self._observe(
            Progress(phase="verify", bytes_done=self._result.bytes, bytes_total=self._total, failures=self._result.count)
        )


def _check_completeness(device: Device, files: StoredFiles, report: Report) -> None:
    headers = [files.headers[number] for number in sorted(files.headers)]
    if headers and not headers[-1].run_complete:
        report(Finding(code="incomplete", detail=f"run {headers[-1].run} of {headers[-1].source} did not end"))
    if len(headers) == len(files.segments):
        try:
            check_links(Manifest(device, headers), report)
        except (IntegrityError, OSError):
            return  # a segment that cannot be read was reported where it was met


