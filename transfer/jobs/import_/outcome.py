"""What became of each entry: counted, and written to the report as it happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from transfer.core.progress import Progress
from transfer.jobs.import_.report_files import ReportFiles
from transfer.jobs.verify.findings import Finding

MAX_LISTED = 1000


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
        findings: what was wrong with the device, the first MAX_LISTED; `integrity_failures` counts these and
            the entries that fell to them.
        failures: the first MAX_LISTED of `failed`.
        bytes_of_parts: that have arrived, of objects that are not settled.
        uploads_left: uploads in parts that the store could not be made to give up.
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
    uploads_left: list[str] = field(default_factory=list)
    verified_by: str = ""
    bytes_of_parts: int = 0
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
            self.rows.failure(self.bucket, key, size_bytes, blake3, error)
        self._tell(key)

    def found(self, finding: Finding) -> None:
        """The device is not what it should be; what was found before is not counted again."""
        if finding in self.findings:
            return
        self.integrity_failures += 1
        if len(self.findings) < MAX_LISTED:
            self.findings.append(finding)

    def sent_part(self, key: str, size_bytes: int) -> None:
        """A part of a large object has arrived; the object itself is counted when it is complete."""
        self.bytes_of_parts += size_bytes
        self._tell(key)

    def settled_parts(self, size_bytes: int) -> None:
        """An object in parts is settled: they count no more beside it."""
        self.bytes_of_parts -= size_bytes

    def left_upload(self, key: str, reason: str) -> None:
        """An upload in parts was not completed, and may still be at the store."""
        if len(self.uploads_left) < MAX_LISTED:
            self.uploads_left.append(f"{key}: {reason}")

    def _tell(self, key: str) -> None:
        self.observe(
            Progress(
                phase="import",
                files_done=self.objects + self.failed,
                bytes_done=self.bytes + self.bytes_of_parts,
                files_total=self.total_files,
                bytes_total=self.total_bytes,
                failures=self.failed,
                current_path=key.encode(errors="backslashreplace"),
            )
        )
