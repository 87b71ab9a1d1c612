"""verify, the job."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from transfer.core.progress import Progress
from transfer.device.device import Device, open_device
from transfer.device.encryption import NO_KEYS, Keys, require_open, unlocked
from transfer.device.layout import DEVICE_NAME
from transfer.device.raw_read import DigestReader
from transfer.device.signature import SignedBy
from transfer.errors import AccessError, FormatError
from transfer.formats.allowed_signers import AllowedSigners
from transfer.jobs.verify.custody import check_custody
from transfer.jobs.verify.findings import Finding, Report
from transfer.jobs.verify.records import RecordCheck
from transfer.jobs.verify.sealed import compare_totals
from transfer.jobs.verify.stored import (
    StoredFiles,
    check_digests,
    check_pack_digests,
    check_presence,
    expected_files,
)

MAX_LISTED_FINDINGS = 10_000


@dataclass
class Verification:
    """What was checked and what was found.

    Attributes:
        bytes: stored bytes that were read.
        records: records that were followed; deeply, they were also held against their frames.
        is_sealed: the comparison was with the seal; else with the segments alone.
        is_locked: it is encrypted, and was not opened: nothing but stored bytes was compared.
        signed_by: whose signature the seal has; None where it has none that counts.
        findings: the first MAX_LISTED_FINDINGS of `count`.
    """

    is_sealed: bool = False
    is_deep: bool = False
    is_locked: bool = False
    signed_by: SignedBy | None = None
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


def verify(
    root: str,
    *,
    deep: bool,
    observe: Callable[[Progress], None],
    on_finding: Report,
    workers: int,
    keys: Keys = NO_KEYS,
    signers: AllowedSigners | None = None,
) -> Verification:
    """Check a device; of an encrypted one that `keys` do not open, the stored bytes.

    Args:
        root: of the device.
        deep: open every frame.
        observe: told how far it is.
        on_finding: told what is wrong.
        workers: threads that read and decompress.
        keys: what opens it, if it is encrypted.
        signers: whose signatures count; None: it need not be signed.

    Raises:
        DeviceError: there is no device, or it cannot be read at all.
        AccessError: it is encrypted, and what was asked for needs a key that was not given.
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
        detail = str(error).removeprefix(f"{DEVICE_NAME}: ")
        report(Finding(code="device-invalid", file=DEVICE_NAME, detail=detail))
        return result
    device = unlocked(device, keys)
    if deep and not keys.holders:  # what copy goes on with opens segments, no packs
        require_open(replace(device, identities=()))
    result.is_sealed, result.is_locked = device.is_sealed, device.is_locked
    try:
        files = expected_files(device, report, signers)
    except AccessError:
        if not result.count:
            raise
        return result  # the seal cannot be used, and without a key there is nothing else to go by
    result.signed_by = files.signed_by
    result.packs, result.segments = len(files.packs), len(files.segments)
    check_presence(device, files, report)
    check_custody(device, report)
    check = _Reading(device, files, result, report, observe).run(workers)
    _check_whole(device, files, check, report)
    return result


class _Reading:
    """The part that reads the bytes."""

    def __init__(
        self,
        device: Device,
        files: StoredFiles,
        result: Verification,
        report: Report,
        observe: Callable[[Progress], None],
    ) -> None:
        self._device = device
        self._files = files
        self._result = result
        self._report = report
        self._observe = observe
        stored = [*files.packs.values(), *files.segments.values()]
        self._total = sum(file.size_bytes for file in stored) + sum(file.size_bytes for file in files.others)

    def run(self, workers: int) -> RecordCheck:
        reader = DigestReader(workers)
        try:
            check = self._read_deeply(reader, workers) if self._result.is_deep else self._read(reader)
        finally:
            reader.close()
        self._result.records = check.records
        return check

    def _read(self, reader: DigestReader) -> RecordCheck:
        """Digests are computed in this thread, records are followed in another: they are about as much."""
        findings: list[Finding] = []
        check = RecordCheck(self._device, self._files, findings.append)
        with ThreadPoolExecutor(1, thread_name_prefix="records") as beside:
            try:
                following = beside.submit(check.check)
                check_digests(self._device, self._files, reader, self._report, self._on_bytes)
                following.result()
            finally:
                check.stop()
        for finding in findings:
            self._report(finding)
        return check

    def _read_deeply(self, reader: DigestReader, workers: int) -> RecordCheck:
        """A pack's digest is taken while its frames are read."""
        from transfer.jobs.verify.frames import FrameCheck  # noqa: PLC0415  (start-up time)

        frames = FrameCheck(self._device, self._files, self._report, self._on_bytes, workers)
        check = RecordCheck(self._device, self._files, self._report, frames)
        try:
            others = replace(self._files, packs={})
            check_digests(self._device, others, reader, self._report, self._on_bytes)
            check.check()
            check_pack_digests(
                self._device, self._files, reader, self._report, self._on_bytes, numbers=frames.unread
            )
        finally:
            frames.close()
        return check

    def _on_bytes(self, count: int) -> None:
        result = self._result
        result.bytes += count
        self._observe(
            Progress(phase="verify", bytes_done=result.bytes, bytes_total=self._total, failures=result.count)
        )


def _check_whole(device: Device, files: StoredFiles, check: RecordCheck, report: Report) -> None:
    """What can only be said of all segments together."""
    headers = [files.headers[number] for number in sorted(files.headers)]
    if device.is_locked and files.seal is not None and not files.seal.complete:
        report(Finding(code="incomplete", detail="it was sealed before its last copy ended"))
    if headers and not headers[-1].run_complete:
        detail = f"run {headers[-1].run} of {headers[-1].source} did not end"
        report(Finding(code="incomplete", detail=detail))
    if check.unfollowed or len(headers) != len(files.segments):
        return
    if files.seal is not None:
        compare_totals(files.seal, files.headers, check.failed, check.skipped, report)
    if check.hard_links:
        from transfer.jobs.verify.links import check_links  # noqa: PLC0415  (start-up time)

        check_links(device, sorted(files.headers), report)
