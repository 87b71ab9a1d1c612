"""What a person asks of copy, and what they are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from transfer.core.filters import Filter
from transfer.core.progress import Progress
from transfer.jobs.copy.work import Problem

MAX_LISTED_PROBLEMS = 1000
"""Problems kept for the summary; all of them stand in the manifest."""


@dataclass(frozen=True)
class CopyOptions:
    """The options of copy.

    Attributes:
        workers: worker processes, and threads for the chunks of large files.
        level: zstd level instead of the profile's.
        checksum: compare content, not size and mtime.
        count_ahead: walk the source a second time, ahead of the copying, so that the remaining time is known.
        write_rate: bytes a second that may be written now; None: no limit. Asked again and again, so that a
            timetable works.
        state_directory: where the resume identity of an encrypted device is.
        who: who answers for it, for the custody log.
    """

    filter: Filter = field(default_factory=Filter)
    workers: int = 2
    level: int | None = None
    checksum: bool = False
    follow_links: bool = False
    one_file_system: bool = False
    xattrs: bool = False
    dry_run: bool = False
    count_ahead: bool = False
    write_rate: Callable[[], int | None] | None = None
    state_directory: str = ""
    who: str = ""


@dataclass
class CopyResult:
    """What a copy did, and what it did not.

    Attributes:
        again: entries that another pass may settle; in the end they have failed.
        resumed_after: path behind which an interrupted run went on; None for a run from the start.
        full: the device was full before the source was copied.
        left_entries, left_files, left_bytes: what is still to be copied then.
    """

    run: int = 0
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
            case _:
                self.failed += 1
        if len(self.problems) < MAX_LISTED_PROBLEMS:
            self.problems.append(problem)

    def forget_problems(self) -> None:
        """Another pass looks at everything once more: only what it would not meet again stays."""
        kept = [problem for problem in self.problems if problem.kind == "xattrs"]
        self.skipped = self.changed = self.again = self.failed = 0
        self.problems = []
        for problem in kept:
            self.note(problem)

    @property
    def is_partial(self) -> bool:
        """Whether anything of the source is not on the device as it should be."""
        return bool(self.skipped or self.failed or self.changed or self.again)


Observer = Callable[[Progress], None]
"""Told how far a job is, now and then."""

Announcer = Callable[[CopyResult], None]
"""Told once, before anything is copied, what was found on the device and where copying goes on."""
