"""What is to be done with each frame, decided before it is read: frames that hold nothing wanted stay unread.

Records come in the order of the device. An entry is passed over when a later run replaced it, the filter
leaves it out, or it is there already; of a file that only its hard links need, the first of these stands in.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from transfer.core.merge import LaterPaths
from transfer.core.records import Begin, Chunk, File, Hardlink, Void
from transfer.device.frame_stream import FrameGroup
from transfer.jobs.import_.entries import is_wanted
from transfer.jobs.import_.links import LinkState, LinkStates, path_text
from transfer.jobs.restore.folders import Folders
from transfer.jobs.restore.judging import Verdict, judge, refusal
from transfer.jobs.restore.options import RestoreOptions
from transfer.jobs.restore.outcome import Outcome
from transfer.jobs.restore.tree import ObstacleError, Tree

UNWANTED = "neither it nor its file was wanted"
BEGIN_LOST = "its beginning is lost with a damaged segment"
LEFT = "its file was left as it was in the directory"


@dataclass
class Goal:
    """A file that is to be written: `path` is where, `origin` the path of its record, which a link stands in
    for where they differ.
    """

    path: bytes
    origin: bytes
    run: int
    record: File | Begin


@dataclass
class Target:
    """Where a file goes, and what becomes of it there.

    Attributes:
        there: what has the path.
    """

    path: bytes
    verdict: Verdict
    there: os.stat_result | None


@dataclass
class GroupWork:
    """What is to be done with a group.

    Attributes:
        files: small files, in order; their content lies in the frame.
        begins: the large file that begins here; None where it is not wanted.
        needs_content: as PackStream asks.
    """

    files: list[Goal] = field(default_factory=list)
    begins: Goal | None = None
    needs_content: bool = False


class Planner:
    """Plans one restore; called by one thread at a time, in the order of the device.

    Args:
        tree: of the directory, for looking.
        options: of the restore.
        links: what becomes of files that links name.
        folders: told which folders hold something wanted.
        outcome: told what is there already, and what is in the way.
    """

    def __init__(
        self,
        tree: Tree,
        options: RestoreOptions,
        links: LinkStates,
        folders: Folders,
        outcome: Outcome,
    ) -> None:
        self._tree = tree
        self._options = options
        self._links = links
        self._folders = folders
        self._outcome = outcome
        self._later = LaterPaths([])
        self._has_begun = self._takes_chunks = False
        self._large: Target | None = None
        self._told = b""

    def start_run(self, run: int, later: Callable[[], LaterPaths]) -> None:
        """The records of another run begin."""
        self._links.run = run
        self._later = later()
        self.lose_large()

    def lose_large(self) -> None:
        """The large file at hand goes no further; whoever writes it tells."""
        if self._large is not None and self._takes_chunks:
            self._told = self._large.path
        self._end_large()

    def _end_large(self) -> None:
        self._has_begun = self._takes_chunks = False
        self._large = None

    def plan(self, group: FrameGroup) -> GroupWork:
        """Decide about a group."""
        work = GroupWork()
        for record in group.records:
            match record:
                case File(offset=None):
                    self._close(record)
                case File():
                    self._small(record, work)
                case Begin():
                    self._begin(record, work)
                case Chunk():
                    work.needs_content = self._takes_chunks
                case Void():
                    self._end_large()
                case Hardlink():
                    self._link(record)
                case _:  # the rest has no content: it comes from the merged view
                    pass
        work.needs_content = work.needs_content or bool(work.files)
        return work

    def _small(self, record: File, work: GroupWork) -> None:
        path = record.path_bytes
        target = self._target(path, record)
        if target is not None and target.verdict is Verdict.WRITE:
            work.files.append(self._goal(target, path, record))
        self._links.meet_file(path, record, self._settled(path, record, target))

    def _begin(self, record: Begin, work: GroupWork) -> None:
        """A large file begins. Should it be given up, nothing is told of this attempt."""
        path = record.path_bytes
        self._large, self._has_begun = self._target(path, record), True
        if self._large is not None and self._large.verdict is Verdict.WRITE:
            work.begins = self._goal(self._large, path, record)
        self._takes_chunks = work.begins is not None

    def _close(self, record: File) -> None:
        """A large file's last record, the only one with all that hard links may ask for."""
        path = record.path_bytes
        if self._has_begun:
            state = self._settled(path, record, self._large)
        else:
            state = LinkState(problem=BEGIN_LOST)
            place = self._place(path, record.size_bytes)
            if place is not None and place != self._told:
                self._outcome.fail(place, BEGIN_LOST, is_damage=True)
        self._links.meet_file(path, record, state)
        self._end_large()

    def _link(self, record: Hardlink) -> None:
        path = record.path_bytes
        if not self._later.has(path) and is_wanted(path, record.size_bytes, self._options.filter):
            self._links.meet(path, record)

    def _goal(self, target: Target, origin: bytes, record: File | Begin) -> Goal:
        return Goal(target.path, origin, self._links.run, record)

    def _target(self, origin: bytes, record: File | Begin) -> Target | None:
        """Where a file goes; None where nobody wants it."""
        path = self._place(origin, record.size_bytes)
        if path is None:
            return None
        self._folders.hold(path)
        try:
            there = self._tree.look(path)
        except (ObstacleError, OSError):  # whoever writes makes the folder, or tells
            there = None
        return Target(path, judge(record, record.size_bytes, there, self._options.if_exists), there)

    def _settled(self, origin: bytes, record: File, target: Target | None) -> LinkState:
        """Count a file that is not to be written; what hard links to it have to know."""
        if target is None:
            return LinkState(problem=UNWANTED)
        if target.verdict is Verdict.SKIP:
            self._outcome.left()
        elif target.verdict is Verdict.REFUSE and target.there is not None:
            self._outcome.fail(target.path, refusal(target.there))
        elif target.verdict is Verdict.DONE:
            self._outcome.was_there(target.path, record.size_bytes)
        if target.verdict in (Verdict.SKIP, Verdict.REFUSE):
            return LinkState(problem=LEFT)
        return LinkState(stand_in=path_text(target.path) if target.path != origin else "")

    def _place(self, path: bytes, size_bytes: int) -> bytes | None:
        """Where a file of the run at hand goes."""
        if not self._later.has(path) and is_wanted(path, size_bytes, self._options.filter):
            return path
        return self._links.stand_in(path)
