"""What the metrics show: sums of the jobs whose devices were in the dock. Pure."""

from __future__ import annotations

from msgspec import Struct

from transfer.ledger.phases import Phase


class JobTotals(Struct, frozen=True):
    """How far a job has come; the bytes as in `views.ProgressView`, from the start of its present run."""

    job_id: str
    device_id: str
    phase: Phase
    paused: bool
    objects: int
    bytes: int
    failed: int
    skipped: int
    superseded: int
    bytes_verified: int
    bytes_imported: int


class Totals(Struct, frozen=True):
    """All of them.

    Attributes:
        jobs: of the devices that are in the dock, and those that are under way; 10,000 at most.
        running: how many are under way.
        queued: how many wait for their turn.
        waiting: how many wait for a store or device to come back.
    """

    jobs: list[JobTotals]
    running: int
    queued: int
    waiting: int
