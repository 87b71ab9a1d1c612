"""Files, written frame by frame as they come opened and checked.

A small file is written at once. A large one grows under another name over many frames; its digest as a whole
is taken on the way, and it gets its name when that is right. What is wrong with a frame costs the files that
have content in it, and no others. One thread at a time.
"""

from __future__ import annotations

from typing import NamedTuple

from blake3 import blake3

from transfer.core.records import Chunk, Entry, File, Void
from transfer.jobs.import_.links import LinkState, LinkStates
from transfer.jobs.import_.packs import OpenedFrame
from transfer.jobs.restore.judging import Verdict, judge, refusal
from transfer.jobs.restore.options import RestoreOptions
from transfer.jobs.restore.outcome import Outcome
from transfer.jobs.restore.partial import Partial
from transfer.jobs.restore.planning import Goal, GroupWork
from transfer.jobs.restore.tree import ObstacleError, Tree, check_name, look_at, split
from transfer.jobs.restore.trouble import entry

_NOT_RESTORED = "its file could not be restored"


class _Large:
    """A large file on its way."""

    def __init__(self, goal: Goal, partial: Partial) -> None:
        self.goal = goal
        self.partial = partial
        self.hash = blake3()
        self.bytes = 0

    def add(self, content: bytes) -> None:
        """Take the next chunk, verified."""
        self.partial.write_around_holes(memoryview(content), self.bytes)
        self.hash.update(content)
        self.bytes += len(content)


class _Lost(NamedTuple):
    """A large file that was given up, and why; told when its last record comes by, as it may be void."""

    goal: Goal
    reason: str
    is_damage: bool


class FileWriter:
    """Writes the files of one restore.

    Args:
        tree: of the directory, for writing.
        directory: its name.
        options: of the restore.
        links: told which files hard links cannot be made to.
        outcome: told what was written, and what was not.
    """

    def __init__(
        self, tree: Tree, directory: str, options: RestoreOptions, links: LinkStates, outcome: Outcome
    ) -> None:
        self._tree = tree
        self._directory = directory
        self._options = options
        self._links = links
        self._outcome = outcome
        self._large: _Large | None = None
        self._lost: _Lost | None = None

    def take(self, opened: OpenedFrame[GroupWork]) -> None:
        """Write what a frame brings.

        Raises:
            DeviceError: nothing more can be written to the directory.
        """
        for goal in opened.work.files:
            self._small(goal, opened)
        if opened.work.begins is not None:
            self._begin(opened.work.begins)
        for record in opened.group.records:
            match record:
                case Chunk():
                    self._chunk(record, opened)
                case Void():
                    self.close()
                case File(offset=None):
                    self._close(record)
                case _:
                    pass

    def lose_large(self, reason: str, *, is_damage: bool) -> None:
        """The large file at hand does not go on."""
        if self._large is not None:
            self._give_up(reason, is_damage=is_damage)
        if self._lost is not None:
            self._outcome.fail(self._lost.goal.path, self._lost.reason, is_damage=self._lost.is_damage)
            self._lost = None

    def close(self) -> None:
        """Leave nothing unfinished, and tell nothing of it."""
        if self._large is not None:
            self._large.partial.drop()
        self._large = self._lost = None

    def _small(self, goal: Goal, opened: OpenedFrame[GroupWork]) -> None:
        record = goal.record
        damage = opened.damage or opened.defects.get(goal.origin)
        if damage or not isinstance(record, File) or record.offset is None:
            self._fail(goal, record, damage or "its record is wrong", is_damage=True)
            return
        content = memoryview(opened.content)[record.offset : record.offset + record.size_bytes]
        with entry(self._directory, lambda why: self._fail(goal, record, why, is_damage=False)):
            partial = self._new(goal)
            try:
                if record.sparse:
                    partial.write_around_holes(content, 0)
                else:
                    partial.write(content, 0)
                self._finish(goal, partial, record)
            except BaseException:
                partial.drop()
                raise

    def _new(self, goal: Goal) -> Partial:
        folder, name = split(goal.path)
        check_name(name)
        return Partial(self._tree.folder(folder))

    def _begin(self, goal: Goal) -> None:
        self.close()
        with entry(self._directory, lambda why: self._note_lost(goal, why, is_damage=False)):
            self._large = _Large(goal, self._new(goal))

    def _chunk(self, record: Chunk, opened: OpenedFrame[GroupWork]) -> None:
        large = self._large
        if large is None:
            return
        damage = opened.damage or opened.defects.get(large.goal.origin)
        if damage:
            self._give_up(f"chunk {record.index}: {damage}", is_damage=True)
            return
        with entry(self._directory, lambda why: self._give_up(why, is_damage=False)):
            large.add(opened.content)
            self._outcome.tell(large.goal.path, large.bytes)

    def _close(self, record: File) -> None:
        """The last record of a large file: it gets its name, or it is told why not."""
        large = self._large
        if large is not None:
            if large.bytes != record.size_bytes or large.hash.hexdigest() != record.blake3:
                self._give_up("BLAKE3 of the whole file differs", is_damage=True)
            else:
                with entry(self._directory, lambda why: self._give_up(why, is_damage=False)):
                    self._finish(large.goal, large.partial, record)
        lost = self._lost
        self._large = self._lost = None
        if lost is not None:
            self._fail(lost.goal, record, lost.reason, is_damage=lost.is_damage)

    def _give_up(self, reason: str, *, is_damage: bool) -> None:
        """The large file at hand goes no further."""
        large, self._large = self._large, None
        if large is not None:
            large.partial.drop()
            self._note_lost(large.goal, reason, is_damage=is_damage)

    def _note_lost(self, goal: Goal, reason: str, *, is_damage: bool) -> None:
        self._lost = _Lost(goal, reason, is_damage)

    def _finish(self, goal: Goal, partial: Partial, record: File) -> None:
        """Name a whole file, unless something came in its way meanwhile."""
        name = split(goal.path)[1]
        there = look_at(name, partial.folder)
        verdict = judge(record, record.size_bytes, there, self._options.if_exists)
        if there is not None and verdict is not Verdict.WRITE:
            raise ObstacleError(f"while it was being written, {refusal(there)}")
        problems = partial.finish(
            name, record, record.size_bytes, sparse=record.sparse, owner=self._options.sets_owner
        )
        self._outcome.note(goal.path, problems)
        self._outcome.wrote(goal.path, record.size_bytes)

    def _fail(self, goal: Goal, record: Entry, reason: str, *, is_damage: bool) -> None:
        """Tell it, also to hard links: they cannot be made to it."""
        self._outcome.fail(goal.path, reason, is_damage=is_damage)
        if isinstance(record, File):
            self._links.settle(goal.run, goal.origin, record, LinkState(problem=_NOT_RESTORED))
