"""What a person asks of a job that fills devices, and what they are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from transfer.core.progress import Progress
from transfer.jobs.filling.outcome import Problem

MAX_LISTED_PROBLEMS = 1000
"""Problems kept for the summary; all of them stand in the manifest."""


Mark = tuple[int, int, int, int, int]
"""Where a list of problems stood: counts, and how many were listed."""


@dataclass(frozen=True)
class FillOptions:
    """The options that copy and export share.

    Attributes:
        workers: of what does the work beside the writer: processes, threads, connections.
        level: zstd level instead of the profile's.
        count_ahead: look at the source a second time, ahead of the copying, so that the remaining time is
            known.
        write_rate: bytes a second that may be written now; None: no limit. Asked again and again, so that a
            timetable works.
        state_directory: where the resume identity of an encrypted device is.
        who: who answers for it, for the custody log.
        copies: how many devices get the same packs.
        stripe: fill all devices at once.
    """

    workers: int = 2
    level: int | None = None
    dry_run: bool = False
    count_ahead: bool = False
    write_rate: Callable[[], int | None] | None = None
    state_directory: str = ""
    who: str = ""
    copies: int = 1
    stripe: bool = False


@dataclass
class DeviceResult:
    """What one device got.

    Attributes:
        device: its place; of twins those of all.
        twins: how many devices got the same packs.
        run: the last one that brought something; 0: there is none.
        state: complete, or full: the job goes on on another device.
    """

    device: str
    device_id: str
    ordinal: int
    twins: int = 1
    run: int = 0
    packs: int = 0
    entries: int = 0
    bytes: int = 0
    stored_bytes: int = 0
    state: str = ""


@dataclass
class FillResult:
    """What was brought to the device, and what was not.

    Attributes:
        again: entries that another pass may settle; in the end they have failed.
        resumed_after: path behind which an interrupted run went on; None for a run from the start.
        run: that is at work; in the end the last one that brought something.
        device: whose start is announced.
        devices: what each device got, in their order.
        unused: devices that were named and stay empty, as the others had room for all.
        not_remembered: why this host cannot remember where the job stands; empty where it does.
        needed: how many of the devices a dry run found to be needed.
        full: the last device was full before the source was copied.
        left_entries, left_files, left_bytes: what is still to be copied then.
    """

    run: int = 0
    device: str = ""
    resumed_after: bytes | None = None
    deleted: list[str] = field(default_factory=list)
    entries: int = 0
    files: int = 0
    bytes: int = 0
    stored_bytes: int = 0
    packs: int = 0
    packs_found: int = 0
    unchanged: int = 0
    entries_seen: int = 0
    folders_opened: int = 0
    skipped: int = 0
    failed: int = 0
    changed: int = 0
    again: int = 0
    problems: list[Problem] = field(default_factory=list)
    devices: list[DeviceResult] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    needed: int = 0
    not_remembered: str = ""
    full: bool = False
    left_entries: int = 0
    left_files: int = 0
    left_bytes: int = 0
    elapsed_s: float = 0.0

    def note(self, problem: Problem) -> None:
        """Count a problem, and list it while there is room."""
        match problem.kind:
            case "skipped":
                self.skipped += 1
            case "changed":
                self.changed += 1
            case "again":
                self.again += 1
            case "anew":  # told, but all is well with it
                pass
            case _:
                self.failed += 1
        if len(self.problems) < MAX_LISTED_PROBLEMS:
            self.problems.append(problem)

    def mark(self) -> Mark:
        """The problems so far."""
        return self.skipped, self.failed, self.changed, self.again, len(self.problems)

    def forget_problems(self, since: Mark) -> None:
        """Another pass looks at everything once more: only what it would not meet again stays."""
        self.skipped, self.failed, self.changed, self.again, listed = since
        later = self.problems[listed:]
        del self.problems[listed:]
        for problem in (problem for problem in later if problem.kind == "xattrs"):
            self.note(problem)

    @property
    def is_partial(self) -> bool:
        """Whether anything of the source is not on the device as it should be."""
        return bool(self.skipped or self.failed or self.changed or self.again)


Observer = Callable[[Progress], None]
"""Told how far a job is, now and then."""

Announcer = Callable[[FillResult], None]
"""Told once, before anything is copied, what was found on the device and where copying goes on."""
