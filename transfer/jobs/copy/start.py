"""Where one pass begins: a new run, or the rest of an interrupted one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from transfer.core.merge import PathRecord
from transfer.core.paths import display
from transfer.core.records import File
from transfer.jobs.copy.engine import CopyEngine
from transfer.jobs.copy.large import Pending
from transfer.jobs.copy.links import FirstName
from transfer.jobs.copy.resume import ResumePoint
from transfer.jobs.copy.work import LargeFile


@dataclass(frozen=True)
class Start:
    """How a pass begins.

    Attributes:
        run: its number.
        resumes: it continues a run that was interrupted.
        after: the walk begins behind this path.
        started: when the run began; empty for a new one.
    """

    point: ResumePoint
    run: int
    resumes: bool
    after: bytes
    started: str

    @staticmethod
    def at(point: ResumePoint, source: bytes) -> Start:
        """The start for `source` on a device in the state of `point`."""
        if point.is_open and point.source == display(source):
            return Start(point, point.run, True, point.cursor, point.started)
        return Start(point, point.run + 1, False, b"", "")

    def known(self, point: ResumePoint) -> Iterator[PathRecord]:
        """What the device has of earlier runs behind the start."""
        return point.manifest.merged(self.after, [run for run in point.manifest.runs if run < self.run])

    async def pieces(self, engine: CopyEngine) -> AsyncIterator[Pending]:
        """What must come before the walk's work: the large file that the last pack ends in."""
        point, file = self.point, None
        if point.cursor:
            file = LargeFile(point.cursor)
        if point.filling_bytes:
            async for pending in engine.filled(point.filling_bytes):
                yield pending
            if file is not None and self.resumes:
                async for pending in engine.read(file):
                    yield pending
        elif point.open_file is not None and file is not None:
            resumed = engine.read(file, point.open_file) if self.resumes else engine.given_up(point.open_file)
            async for pending in resumed:
                yield pending


def earlier_links(point: ResumePoint, start: Start) -> Iterator[tuple[int, int, FirstName]]:
    """First names of inodes that a resumed run met before it was interrupted."""
    if not start.resumes:
        return
    for path, record in point.manifest.merged():
        if path > start.after:
            return
        if isinstance(record, File) and record.inode is not None and record.volume is not None:
            yield record.volume, record.inode, FirstName(path, record.size_bytes, record.mtime_ns)
