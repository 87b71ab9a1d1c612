"""All files of one restore, frame by frame: one thread reads the packs, others open, check and write.

Frames come in the order of the device. What is wrong with a frame costs the files that have content in it,
and no others. Memory is bounded by the lanes.
"""

from __future__ import annotations

import queue
from functools import partial
from itertools import groupby

from transfer.core.records import Begin, Chunk, File, Frame, Void
from transfer.device.device import Device
from transfer.device.frame_stream import FrameGroup
from transfer.jobs.import_.links import LinkState
from transfer.jobs.restore.bagging import Sums
from transfer.jobs.restore.goals import Goal, GroupWork
from transfer.jobs.restore.lanes import Lane
from transfer.jobs.restore.large import LargeWriter
from transfer.jobs.restore.lists import ObjectList
from transfer.jobs.restore.outcome import Outcome
from transfer.jobs.restore.packs import PackFiles
from transfer.jobs.restore.planning import NOT_RESTORED
from transfer.jobs.restore.pool import Pool
from transfer.jobs.restore.small import Problem, SmallBatch, SmallFile, Written
from transfer.jobs.restore.tree import split
from transfer.jobs.restore.trouble import end_if_fatal

_AHEAD = 3


class FileStream:
    """Files on their way.

    Args:
        small: writes small ones.
        directory: where they go, for messages.
        objects: told which objects were not written after all.
        outcome: told what was written, and what was not.
        sums: told checksums, where somebody asks for them.

    Attributes:
        large: writes large ones; set before anything is handed over.
    """

    large: LargeWriter

    def __init__(
        self, small: Pool, directory: str, objects: ObjectList, outcome: Outcome, sums: Sums | None
    ) -> None:
        self._small = small
        self._sums = sums
        self._objects = objects
        self._directory = directory
        self._outcome = outcome
        self._packs = PackFiles()
        self._lane = Lane("read", _AHEAD)
        self._failed: queue.SimpleQueue[tuple[Goal, File]] = queue.SimpleQueue()

    def hand(self, device: Device, group: FrameGroup, work: GroupWork) -> None:
        """Have a group done as planned; waits while enough others are under way.

        Args:
            device: that it is of.
            group: a frame with its records.
            work: what is to be done.

        Raises:
            BaseException: an error that ends the job.
        """
        self._settle_failed()
        if group.frame is not None and work.files:
            self._lane.hand(partial(self._take_small, device, group, group.frame, work.files))
        elif work.concerns_large:
            self._lane.hand(partial(self._take_large, device, group, work))

    def lose_large(self, reason: str, *, is_damage: bool) -> None:
        """The large file at hand does not go on."""
        self._lane.hand(lambda: self.large.lose(reason, is_damage=is_damage))

    def end(self) -> None:
        """Wait until all is written.

        Raises:
            BaseException: an error that ends the job.
        """
        self._lane.end()
        self.large.end()
        self._small.end()
        self._settle_failed()

    def stop(self, error: BaseException | None = None) -> None:
        """Leave nothing unfinished; may be called again."""
        self._lane.stop(error)
        self.large.stop(error)
        self._small.stop(error)
        self._packs.close()

    def fail(self, goal: Goal, record: File | None, reason: str, is_damage: bool) -> None:
        """Tell it, also to hard links: they cannot be made to it. From any thread.

        Args:
            goal: that is not reached.
            record: of the whole file, where it came by.
            reason: why.
            is_damage: the device is to blame.
        """
        self._outcome.fail(goal.path, reason, is_damage=is_damage)
        if record is not None:
            self._failed.put((goal, record))

    def _settle_failed(self) -> None:
        """In the thread that plans, as tables are that one's."""
        while not self._failed.empty():
            goal, record = self._failed.get()
            if record.object is not None:
                self._objects.forget(goal.path)
            goal.links.settle(goal.run, goal.origin, record, LinkState(problem=NOT_RESTORED))

    def _take_small(self, device: Device, group: FrameGroup, frame: Frame, goals: list[Goal]) -> None:
        stored = self._packs.read(device, group.sequence, frame)
        told = partial(self._told, goals)
        if isinstance(stored, str):
            told(Written(failures=[Problem(number, [stored], True) for number in range(len(goals))]))
        else:
            self._small.write(_batch(frame, goals), stored, told)

    def _told(self, goals: list[Goal], written: Written) -> None:
        """What became of a batch."""
        for problem in written.failures:
            goal = goals[problem.number]
            record = goal.record if isinstance(goal.record, File) else None
            self.fail(goal, record, problem.what[0], problem.is_damage)
        for problem in written.notes:
            self._outcome.note(goals[problem.number].path, problem.what)
        if self._sums is not None:
            for number, digest in written.sums:
                self._sums.put(goals[number].path, digest)
        self._outcome.wrote_many(goals[-1].path, written.files, written.bytes)
        if written.fatal is not None:
            error = OSError(*written.fatal)
            end_if_fatal(error, self._directory)
            raise error

    def _take_large(self, device: Device, group: FrameGroup, work: GroupWork) -> None:
        if work.begins is not None:
            self.large.begin(work.begins)
        for record in group.records:
            match record:
                case Chunk() if group.frame is not None and work.needs_chunk:
                    stored = self._packs.read(device, group.sequence, group.frame)
                    self.large.chunk(record, group.frame.bytes, stored)
                case Void():
                    self.large.void()
                case File(offset=None):
                    self.large.close(record)
                case _:
                    pass


def _batch(frame: Frame, goals: list[Goal]) -> SmallBatch:
    """What a worker has to know, by folder."""
    batch = SmallBatch(frame.bytes)
    for folder, files in groupby(map(_small, goals), key=lambda item: item[0]):
        batch.folders.append((folder, [file for _, file in files]))
    return batch


def _small(goal: Goal) -> tuple[bytes, SmallFile]:
    folder, name = split(goal.path)
    record = goal.record
    if isinstance(record, Begin) or record.offset is None:
        raise AssertionError("no large file is written at once")
    file = SmallFile(
        name,
        record.offset,
        record.size_bytes,
        record.blake3,
        record.mode,
        record.mtime_ns,
        record.uid,
        record.gid,
        record.sparse,
        record.xattrs,
    )
    return folder, file
