"""What became of each entry: recorded in the ledger, counted, and written to the report as it happens.

The ledger comes first: nothing is counted that it did not take.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import Struct

from transfer.core.merge import Spot
from transfer.core.progress import Progress
from transfer.device.signature import SignedBy
from transfer.jobs.import_.journal import Journal
from transfer.jobs.import_.report_files import ReportFiles
from transfer.jobs.verify.findings import Finding
from transfer.ledger.values import Counters, DeviceSet, ObjectEntry, ObjectState

MAX_LISTED = 1000


class Subject(Struct, frozen=True):
    """An entry of the device, and the object that it is to be."""

    spot: Spot
    path: bytes
    key: str
    size_bytes: int
    blake3: str = ""


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
        objects, bytes: in the bucket, as they should be.
        already, bytes_already: of these, what was there before this attempt.
        skipped: left out because of an object that is there (`--if-exists skip`).
        delete_markers: in the bucket, as they should be.
        versions_left_out: older versions of objects, as the bucket keeps none.
        deleted_left_out: keys that were deleted last, for the same reason.
        tags_omitted: objects that were sent without tags that export could not read.
        findings: what was wrong with the device, the first MAX_LISTED; `integrity_failures` counts these and
            the entries that fell to them.
        failures: the first MAX_LISTED of `failed`.
        bytes_verified: content that was read and matched its digests, in this attempt or an earlier one.
        bytes_of_parts: that have arrived, of objects that are not settled.
        uploads_left: uploads in parts that the store could not be made to give up.
        uploads_parked: uploads in parts that were left open, to go on with.
        notes: what a person should know besides.
        devices: of the job that the device is of; which of them have not been here yet.
        devices_of: the name of that job.
        signed_by: whose signature the seal has; None where it has none that counts.
    """

    bucket: str
    objects: int = 0
    bytes: int = 0
    already: int = 0
    bytes_already: int = 0
    failed: int = 0
    skipped: int = 0
    integrity_failures: int = 0
    superseded: int = 0
    folders_implied: int = 0
    symlinks_skipped: int = 0
    delete_markers: int = 0
    versions_left_out: int = 0
    deleted_left_out: int = 0
    tags_omitted: int = 0
    findings: list[Finding] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    uploads_left: list[str] = field(default_factory=list)
    uploads_parked: int = 0
    notes: list[str] = field(default_factory=list)
    verified_by: str = ""
    signed_by: SignedBy | None = None
    devices: DeviceSet = field(default_factory=DeviceSet)
    devices_of: str = ""
    bytes_verified: int = 0
    bytes_of_parts: int = 0
    total_files: int = 0
    total_bytes: int = 0
    observe: Callable[[Progress], None] = lambda progress: None
    rows: ReportFiles | None = None
    journal: Journal = field(init=False, repr=False)

    @property
    def counters(self) -> Counters:
        """The counts, as the ledger keeps them."""
        return Counters(
            objects=self.objects,
            bytes=self.bytes,
            failed=self.failed,
            skipped=self.skipped + self.symlinks_skipped,
            superseded=self.superseded,
        )

    async def succeeded(self, subject: Subject, etag: str, *, version_id: str = "") -> None:
        """An object was sent, and the store's answer agrees with what was read.

        Args:
            subject: the entry.
            etag: of the object.
            version_id: of what it became, where it is one of several versions of its key.

        Raises:
            TransferError: the ledger or the report cannot be written.
        """
        await self._record_version(subject, version_id)
        await self._record(subject, ObjectState.DONE, etag=etag)
        self._count(subject)

    async def was_there(
        self, subject: Subject, etag: str, recorded: ObjectEntry | None, *, version_id: str = ""
    ) -> None:
        """An object need not be sent: it is in the bucket.

        Args:
            subject: the entry.
            etag: of the object.
            recorded: what the ledger has of it, where it knows.
            version_id: of the version that it is, where the ledger does not know that.

        Raises:
            TransferError: as `succeeded`.
        """
        await self._record_version(subject, version_id)
        if recorded is None or recorded.etag != etag:
            await self._record(subject, ObjectState.DONE, etag=etag)
        self.already += 1
        self.bytes_already += subject.size_bytes
        self._count(subject)

    def _count(self, subject: Subject) -> None:
        self.objects += 1
        self.bytes += subject.size_bytes
        if self.rows is not None:
            self.rows.success(self.bucket, subject.key, subject.size_bytes, subject.blake3)
        self._tell(subject.key)

    async def marked(self, subject: Subject, version_id: str) -> None:
        """A delete marker is in the bucket: the store told of it, or it was listed.

        Args:
            subject: the entry.
            version_id: of the marker; empty where the ledger knows it.

        Raises:
            TransferError: as `succeeded`.
        """
        await self._record_version(subject, version_id)
        await self._record(subject, ObjectState.DONE)
        self.delete_markers += 1
        self._tell(subject.key)

    async def fell(self, subject: Subject, error: str, *, integrity: bool = False) -> None:
        """An entry is not in the bucket.

        Raises:
            TransferError: as `succeeded`.
        """
        await self._record(subject, ObjectState.FAILED, error=error)
        self.failed += 1
        self.integrity_failures += integrity
        failure = Failure(subject.key, subject.size_bytes, subject.blake3, error)
        if len(self.failures) < MAX_LISTED:
            self.failures.append(failure)
        if self.rows is not None:
            self.rows.failure(self.bucket, subject.key, subject.size_bytes, subject.blake3, error)
            if integrity:
                self.rows.repair(subject.path)
        self._tell(subject.key)

    async def skip(self, subject: Subject, reason: str) -> None:
        """An entry was knowingly left out.

        Raises:
            TransferError: as `succeeded`.
        """
        await self._record(subject, ObjectState.SKIPPED, error=reason)
        self.skipped += 1
        if self.rows is not None:
            self.rows.skipped(self.bucket, subject.key, subject.size_bytes, subject.blake3, reason)
        self._tell(subject.key)

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

    async def _record_version(self, subject: Subject, version_id: str) -> None:
        if version_id:
            await self.journal.version_made(subject.spot, subject.key, version_id, blake3=subject.blake3)

    async def _record(self, subject: Subject, state: ObjectState, *, etag: str = "", error: str = "") -> None:
        await self.journal.record(
            subject.spot,
            state,
            subject.key,
            subject.size_bytes,
            blake3=subject.blake3,
            etag=etag,
            error=error,
        )

    def _tell(self, key: str) -> None:
        without_object = self.superseded + self.folders_implied + self.symlinks_skipped
        without_object += self.versions_left_out
        self.observe(
            Progress(
                phase="import",
                files_done=self.objects + self.failed + self.skipped + without_object,
                bytes_done=self.bytes + self.bytes_of_parts,
                files_total=self.total_files,
                bytes_total=self.total_bytes,
                failures=self.failed,
                current_path=key.encode(errors="backslashreplace"),
            )
        )
