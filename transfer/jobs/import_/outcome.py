"""What became of each entry: counted, and written to the report as it happens."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from transfer.core.progress import Progress
from transfer.errors import UsageError
from transfer.formats.report import COLUMNS, ImportReport, csv_line, encode_report
from transfer.jobs.verify.findings import Finding

MAX_LISTED = 1000
_FLUSH_LINES = 256


@dataclass(frozen=True, slots=True)
class Failure:
    """An entry that is not in the bucket, and why."""

    key: str
    size_bytes: int
    blake3: str
    error: str


@dataclass
class Outcome:
    """The counts of an import.

    Attributes:
        findings: what was wrong with the device; `integrity_failures` counts these and the entries that fell to them.
        failures: the first MAX_LISTED of `failed`.
    """

    bucket: str
    objects: int = 0
    bytes: int = 0
    failed: int = 0
    integrity_failures: int = 0
    superseded: int = 0
    folders_implied: int = 0
    symlinks_skipped: int = 0
    findings: list[Finding] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    verified_by: str = ""
    total_files: int = 0
    total_bytes: int = 0
    observe: Callable[[Progress], None] = lambda progress: None
    rows: ReportFiles | None = None

    def succeeded(self, key: str, size_bytes: int, blake3: str) -> None:
        """An object is in the bucket, and the store's answer agrees with what was read."""
        self.objects += 1
        self.bytes += size_bytes
        if self.rows is not None:
            self.rows.success(self.bucket, key, size_bytes, blake3)
        self._tell(key)

    def fell(self, key: str, size_bytes: int, blake3: str, error: str, *, integrity: bool = False) -> None:
        """An entry is not in the bucket."""
        self.failed += 1
        self.integrity_failures += integrity
        failure = Failure(key, size_bytes, blake3, error)
        if len(self.failures) < MAX_LISTED:
            self.failures.append(failure)
        if self.rows is not None:
            self.rows.failure(self.bucket, failure)
        self._tell(key)

    def found(self, finding: Finding) -> None:
        """The device is not what it should be."""
        self.integrity_failures += 1
        if len(self.findings) < MAX_LISTED:
            self.findings.append(finding)

    def _tell(self, key: str) -> None:
        self.observe(
            Progress(
                phase="import",
                files_done=self.objects + self.failed,
                bytes_done=self.bytes,
                files_total=self.total_files,
                bytes_total=self.total_bytes,
                failures=self.failed,
                current_path=key.encode(errors="backslashreplace"),
            )
        )


class ReportFiles:
    """The files of a report directory: the CSV files grow as entries are settled, report.json comes last, by rename.

    Raises:
        UsageError: the directory cannot be made or holds a report already.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        try:
            os.makedirs(directory, exist_ok=True)
            self._success = self._open("success.csv")
            self._failure = self._open("failure.csv")
        except OSError as error:
            raise UsageError(
                f"report directory {directory}: {error.strerror}", remedy="name another directory with --report"
            ) from None
        self._since_flush = 0

    def _open(self, name: str) -> BinaryIO:
        file = open(os.path.join(self._directory, name), "wb")  # noqa: SIM115 - closed by `finish`
        file.write(csv_line(*COLUMNS))
        return file

    def success(self, bucket: str, key: str, size_bytes: int, blake3: str) -> None:
        """A line of success.csv."""
        self._success.write(csv_line(bucket, key, str(size_bytes), blake3, ""))
        self._since_flush += 1
        if self._since_flush >= _FLUSH_LINES:
            self._success.flush()
            self._since_flush = 0

    def failure(self, bucket: str, failure: Failure) -> None:
        """A line of failure.csv."""
        self._failure.write(csv_line(bucket, failure.key, str(failure.size_bytes), failure.blake3, failure.error))
        self._failure.flush()

    def finish(self, report: ImportReport) -> None:
        """Close the lists and put report.json in place."""
        for file in (self._success, self._failure):
            file.close()
        path = os.path.join(self._directory, "report.json")
        with open(path + ".partial", "wb") as file:
            file.write(encode_report(report))
            file.flush()
            os.fsync(file.fileno())
        os.rename(path + ".partial", path)


