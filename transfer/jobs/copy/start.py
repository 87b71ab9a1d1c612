"""Where one pass begins: a new run, or the rest of an interrupted one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass

from transfer.core.merge import PathRecord
from transfer.core.paths import display
from transfer.core.records import Failed, File, Metadata, Skipped
from transfer.device.device import Device
from transfer.device.writer import DeviceWriter, RunIdentity
from transfer.errors import TransferError
from transfer.jobs.copy import reading
from transfer.jobs.copy.chunks import ZeroFrames
from transfer.jobs.copy.engine import CopyEngine
from transfer.jobs.copy.large_pieces import Pending, filling, giving_up, ready
from transfer.jobs.copy.links import FirstName
from transfer.jobs.copy.resume import ResumePoint
from transfer.jobs.copy.work import LargeFile, Outcome, Problem


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

    def known(self) -> Iterator[PathRecord]:
        """What the device has of earlier runs behind the start."""
        manifest = self.point.manifest
        return manifest.merged(self.after, [run for run in manifest.runs if run < self.run])

    async def pieces(self, engine: CopyEngine) -> AsyncGenerator[Pending, None]:
        """What must come before the walk's work: the rest of the large file that the last pack ends in."""
        point = self.point
        if not self.resumes:
            return
        for piece in filling(point.filling_bytes, engine.zeros):
            yield ready(Outcome([piece]))
        if point.begins_again or point.open_file is not None:
            async with aclosing(engine.read(LargeFile(point.cursor), point.open_file)) as rest:
                async for pending in rest:
                    yield pending

    def earlier_links(self) -> Iterator[tuple[int, int, FirstName]]:
        """First names of inodes that a resumed run met before it was interrupted."""
        if not self.resumes:
            return
        for path, record in self.point.manifest.merged():
            if path > self.after:
                return
            if isinstance(record, File) and record.inode is not None and record.volume is not None:
                first = FirstName(path, record.size_bytes, record.mtime_ns, is_new=True)
                yield record.volume, record.inode, first

    def earlier_problems(self) -> Iterator[Problem]:
        """What went wrong in a resumed run before it was interrupted: nobody was told at its end."""
        if not self.resumes:
            return
        for path, record in self.point.manifest.run_records(self.run):
            if isinstance(record, Failed):
                kind = "again" if record.reason == "changed" else "failed"
                yield Problem(path, kind, record.reason, record.detail)
            elif isinstance(record, Skipped):
                yield Problem(path, "skipped", record.reason)
            elif isinstance(record, File) and record.changed:
                yield Problem(path, "changed", "changed", reading.CHANGED)
            elif isinstance(record, Metadata) and record.xattrs_omitted:
                yield Problem(path, "xattrs", "xattrs-omitted", reading.XATTRS_OMITTED)


def close_open_member(device: Device, point: ResumePoint) -> None:
    """Give up the large file that the last pack ends in, within its own run: the next run is another
    source's.

    Raises:
        DeviceFullError, DeviceError: the device did not take it; it is as before.
    """
    document = device.document
    zeros = ZeroFrames(largest_bytes=document.chunk_size_bytes, level=document.level)
    writer = open_writer(device, point, RunIdentity(point.run, point.started, point.source))
    try:
        if point.open_file is not None:
            pieces = giving_up(point.open_file.begin, point.open_file.sums.bytes, zeros)
        else:
            pieces = filling(point.filling_bytes, zeros)
        for piece in pieces:
            writer.append(piece)
        writer.pause()
    except TransferError:
        writer.abandon()
        raise


def open_writer(device: Device, point: ResumePoint, identity: RunIdentity) -> DeviceWriter:
    """A writer that goes on where the device's last pack ends."""
    return DeviceWriter(
        device,
        identity,
        sequence=point.sequence,
        in_member=point.is_inside_member,
        used_bytes=point.used_bytes,
    )
