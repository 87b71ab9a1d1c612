"""The report of an import while it runs and at its end: what there is to tell, put together now and then."""

from __future__ import annotations

import asyncio
import platform
import time
from importlib.metadata import version

from transfer.core.samples import Sample, SampleSeries
from transfer.device.clock import timestamp
from transfer.device.signature import told_signer
from transfer.formats.report import CustodyEvent, ImportReport, ReportedFinding, State
from transfer.jobs.import_.arrival import Arrival
from transfer.jobs.import_.custody import custody_of, sealed_at
from transfer.jobs.import_.options import ImportOptions
from transfer.jobs.import_.outcome import Outcome
from transfer.jobs.import_.report_files import ReportFiles
from transfer.jobs.verify.findings import Finding

INTERVAL_S = 2.0


class Reporter:
    """The report of one attempt.

    Args:
        arrival: the device.
        options: of the import.
        outcome: what became of entries so far; its `rows` are opened here.
        directory: where the report goes; None for no report.

    Raises:
        UsageError: the directory cannot be made or written to.
    """

    def __init__(
        self, arrival: Arrival, options: ImportOptions, outcome: Outcome, directory: str | None
    ) -> None:
        self._arrival = arrival
        self._options = options
        self._outcome = outcome
        self._samples = SampleSeries()
        self._started = timestamp()
        self._clock = time.monotonic()
        self._custody = [*custody_of(arrival.device), CustodyEvent("import started", self._started)]
        outcome.rows = self._files = ReportFiles(directory) if directory is not None else None
        self.interval_s = INTERVAL_S
        self.attempts = 1

    async def update(self) -> None:
        """Write down how far it is, once all that earlier attempts did has been met again.

        Raises:
            TransferError: it cannot be written.
        """
        elapsed_s = self._take_sample()
        if self._files is not None and self._outcome.journal.is_caught_up:
            await asyncio.to_thread(self._files.update, self._report("running", "", elapsed_s))

    def finish(self, state: State, problem: str = "") -> None:
        """Write the last report.

        Raises:
            TransferError: it cannot be written.
        """
        elapsed_s = self._take_sample()
        if self._files is None:
            return
        for finding in self._outcome.findings:
            self._files.repair_note(str(finding))
        self._files.finish(self._report(state, problem, elapsed_s))

    def _take_sample(self) -> float:
        elapsed_s = time.monotonic() - self._clock
        outcome = self._outcome
        arrived_bytes = outcome.bytes + outcome.bytes_of_parts
        self._samples.add(Sample(round(elapsed_s, 3), arrived_bytes, outcome.objects))
        return elapsed_s

    def _report(self, state: State, problem: str, elapsed_s: float) -> ImportReport:
        device, outcome, options = self._arrival.device, self._outcome, self._options
        document, finished = device.document, timestamp()
        custody = list(self._custody)
        if state != "running":
            custody.append(CustodyEvent("import ended", finished))
        return ImportReport(
            state=state,
            device_id=document.device_id,
            job=document.job,
            ordinal=document.ordinal,
            seal_blake3=self._arrival.seal_blake3,
            bucket=options.bucket,
            prefix=options.prefix,
            endpoint=options.endpoint,
            started=self._started,
            finished=finished,
            elapsed_s=round(elapsed_s, 3),
            verified_by=outcome.verified_by,
            objects=outcome.objects,
            bytes=outcome.bytes,
            failures=outcome.failed,
            superseded=outcome.superseded,
            folders_implied=outcome.folders_implied,
            symlinks_skipped=outcome.symlinks_skipped,
            findings=[_reported(finding) for finding in outcome.findings],
            uploads_left=outcome.uploads_left,
            error=problem,
            already=outcome.already,
            bytes_already=outcome.bytes_already,
            skipped=outcome.skipped,
            attempts=self.attempts,
            bytes_verified=outcome.bytes_verified,
            samples=self._samples.samples(),
            custody=custody,
            device_sealed=sealed_at(device),
            signed_by=told_signer(self._arrival.files.signed_by),
            devices_seen=list(outcome.devices.seen),
            devices_missing=list(outcome.devices.missing),
            devices_listed=outcome.devices.is_listed,
            delete_markers=outcome.delete_markers,
            versions_left_out=outcome.versions_left_out,
            deleted_left_out=outcome.deleted_left_out,
            tags_omitted=outcome.tags_omitted,
            host=platform.node(),
            program=f"transfer {version('transfer-appliance')}",
            written=finished,
        )


def _reported(finding: Finding) -> ReportedFinding:
    return ReportedFinding(
        code=finding.code, file=finding.file, frame=finding.frame, path=finding.path, detail=finding.detail
    )
