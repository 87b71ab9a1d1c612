"""import, the job: checks the device as it arrived, reads its packs once, fills the bucket, says what became of every entry."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from blake3 import blake3

from transfer.core.merge import LaterPaths
from transfer.core.progress import Progress
from transfer.device.clock import timestamp
from transfer.device.device import Device, open_device, read_regular
from transfer.device.disk import device_errors
from transfer.device.layout import SEAL_NAME
from transfer.device.manifest import Manifest
from transfer.device.path_table import PathTable
from transfer.device.raw_read import DigestReader
from transfer.errors import DeviceError, IntegrityError, TransferError
from transfer.formats.documents import MAX_SEAL_BYTES
from transfer.formats.report import ImportReport, ReportedFinding
from transfer.jobs.import_.budget import Budget
from transfer.jobs.import_.files import FileSender
from transfer.jobs.import_.options import ImportOptions
from transfer.jobs.import_.others import OtherSender
from transfer.jobs.import_.outcome import Outcome, ReportFiles
from transfer.jobs.import_.packs import PackStream
from transfer.jobs.verify.findings import Finding
from transfer.jobs.verify.stored import StoredFiles, check_digests, check_presence, expected_files
from transfer.stores.contract import ChecksumKind, Store

_FATAL = frozenset({"seal-invalid", "seal-foreign"})


@dataclass(frozen=True)
class Arrival:
    """A device that was looked at on arrival."""

    device: Device
    files: StoredFiles
    manifest: Manifest
    seal_blake3: str


def receive(root: str, options: ImportOptions, report: Callable[[Finding], None]) -> Arrival:
    """Check a device on arrival: seal, segments and sizes; packs and frames are checked as they are read.

    Raises:
        DeviceError: there is no device, or it is not sealed, or incomplete, and that was not asked for.
        IntegrityError: the seal cannot be trusted.
    """
    device = open_device(root)
    if not device.is_sealed and not options.incomplete:
        raise DeviceError(f"device {root} is not sealed", remedy="seal it with `transfer seal`, or say --incomplete")
    found: list[Finding] = []
    files = expected_files(device, found.append)
    fatal = next((finding for finding in found if finding.code in _FATAL), None)
    if fatal is not None:
        raise IntegrityError(f"the seal of {root} cannot be trusted: {fatal}", remedy="ask the sender for a new shipment")
    check_presence(device, files, found.append)
    reader = DigestReader()
    try:
        check_digests(device, replace(files, packs={}), reader, found.append, lambda count: None)
    finally:
        reader.close()
    for finding in found:
        report(finding)
    altered = {finding.file for finding in found if finding.code in ("segment-altered", "segment-invalid", "seal-disagrees")}
    headers = [header for number, header in sorted(files.headers.items()) if not _is_altered(number, altered)]
    if not headers and files.packs and len(altered) == len(files.segments):
        raise IntegrityError(f"no segment of {root} is whole", remedy="ask the sender for a new shipment")
    if device.is_sealed and not device.seal().complete and not options.incomplete:
        raise DeviceError(
            f"device {root} was sealed before its last copy ended", remedy="say --incomplete to import what is there"
        )
    return Arrival(device, files, Manifest(device, headers), _seal_digest(device))


def _is_altered(number: int, altered: set[str]) -> bool:
    return any(name.split("/")[-1].startswith(f"{number:08d}.") for name in altered)


def _seal_digest(device: Device) -> str:
    if not device.is_sealed:
        return ""
    with device_errors(device.root):
        return blake3(read_regular(device.layout.at(SEAL_NAME), MAX_SEAL_BYTES)).hexdigest()


class Import:
    """One import of one device into one bucket."""

    def __init__(
        self, root: str, store: Store, options: ImportOptions, report_directory: str | None, observe: Callable[[Progress], None]
    ) -> None:
        self._root = root
        self._store = store
        self._options = options
        self.outcome = Outcome(options.bucket, observe=observe)
        self._report_directory = report_directory
        self._started = timestamp()

    async def run(self) -> Outcome:
        """Carry it out.

        Raises:
            TransferError: it could not come to its end; the report says how far it came.
        """
        clock = time.monotonic()
        arrival = await asyncio.to_thread(receive, self._root, self._options, self.outcome.found)
        self.outcome.total_files = sum(header.entries for header in arrival.manifest.headers)
        self.outcome.total_bytes = sum(header.content_bytes for header in arrival.manifest.headers)
        await self._store.probe()
        if self._report_directory is not None:
            self.outcome.rows = ReportFiles(self._report_directory)
        state, problem = "failed", ""
        try:
            await self._send(arrival)
            state = self._state()
        except asyncio.CancelledError:
            state = "interrupted"
            raise
        except TransferError as error:
            problem = str(error)
            raise
        finally:
            if self.outcome.rows is not None:
                self.outcome.rows.finish(self._report(arrival, state, problem, time.monotonic() - clock))
        return self.outcome

    def _state(self) -> str:
        if self.outcome.integrity_failures:
            return "damaged"
        return "partial" if self.outcome.failed else "complete"

    async def _send(self, arrival: Arrival) -> None:
        budget = Budget(self._options.memory_bytes)
        stream = PackStream(arrival.device, arrival.files, budget, self._options.workers, self.outcome.found)
        with PathTable() as links:
            chunk_size = arrival.device.document.chunk_size_bytes
            files = FileSender(self._store, chunk_size, self._options, budget, self.outcome, links)
            others = OtherSender(self._store, self._options, self.outcome, links)
            try:
                await self._send_files(arrival.manifest, stream, files)
                await others.send(arrival.manifest.merged())
            finally:
                await asyncio.shield(_stop(files, others))
                await asyncio.to_thread(stream.close)

    async def _send_files(self, manifest: Manifest, stream: PackStream, files: FileSender) -> None:
        run = 0
        for header in manifest.headers:
            if header.run != run:
                run = header.run
                later = [manifest.run_records(newer) for newer in manifest.runs if newer > run]
                files.start_run(LaterPaths(later))
            try:
                async for opened in stream.frames(header.sequence):
                    await files.take(opened)
            except IntegrityError as error:
                files.lose_large(f"the manifest is damaged: {error.what}")
        files.lose_large("the device ends inside it")
        await files.settle()

    def _report(self, arrival: Arrival, state: str, problem: str, elapsed_s: float) -> ImportReport:
        document, outcome, options = arrival.device.document, self.outcome, self._options
        return ImportReport(
            state=state,  # type: ignore[arg-type]
            device_id=document.device_id,
            job=document.job,
            ordinal=document.ordinal,
            seal_blake3=arrival.seal_blake3,
            bucket=options.bucket,
            prefix=options.prefix,
            endpoint=options.endpoint,
            started=self._started,
            finished=timestamp(),
            elapsed_s=round(elapsed_s, 3),
            verified_by=outcome.verified_by or ChecksumKind.NONE.value,
            objects=outcome.objects,
            bytes=outcome.bytes,
            failures=outcome.failed,
            superseded=outcome.superseded,
            folders_implied=outcome.folders_implied,
            symlinks_skipped=outcome.symlinks_skipped,
            findings=[_reported(finding) for finding in outcome.findings],
            error=problem,
        )


def _reported(finding: Finding) -> ReportedFinding:
    return ReportedFinding(
        code=finding.code, file=finding.file, frame=finding.frame, path=finding.path, detail=finding.detail
    )


async def _stop(files: FileSender, others: OtherSender) -> None:
    await files.stop()
    await others.stop()


