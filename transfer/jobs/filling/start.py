"""Where one pass begins: a new run, or the rest of an interrupted one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from transfer.core.merge import PathRecord, merge_runs
from transfer.core.records import Failed, File, Metadata, Skipped
from transfer.device.manifest import Manifest
from transfer.device.mirror import MirrorWriter
from transfer.device.take_back import take_back
from transfer.device.writer import DeviceWriter, RunIdentity
from transfer.errors import TransferError
from transfer.jobs.filling.chunks import ZeroFrames
from transfer.jobs.filling.large_pieces import filling, giving_up
from transfer.jobs.filling.outcome import CHANGED, XATTRS_OMITTED, Outcome, Pending, Problem, ready
from transfer.jobs.filling.resume import ResumePoint

if TYPE_CHECKING:
    from transfer.jobs.filling.source import SourceSide
    from transfer.jobs.filling.targets import Target


@dataclass(frozen=True)
class Start:
    """How a pass begins.

    Attributes:
        run: its number.
        resumes: it continues a run that was interrupted.
        after: the pass begins behind this path.
        started: when the run began; empty for a new one.
        until: the last path of the pass; None: there is no last one.
        others: manifests of the set's other devices at hand.
        leaves: what another device has of a path is left to that device, changed or not.
        shares: several devices take what the pass finds, each a part of it; what they have is in `others`.
        after_version: of the object at `after` what is behind this version belongs to the pass too: the
            device before was full between two of them. Empty: it has all, or none.
        until_version: of the object at `until` what is behind this version is another device's.
    """

    point: ResumePoint
    run: int
    resumes: bool
    after: bytes
    started: str
    until: bytes | None = None
    others: tuple[Manifest, ...] = ()
    leaves: bool = False
    shares: bool = False
    after_version: str = ""
    until_version: str = ""

    @staticmethod
    def at(
        point: ResumePoint,
        source: str,
        *,
        after: bytes = b"",
        until: bytes | None = None,
        others: tuple[Manifest, ...] = (),
        leaves: bool = False,
    ) -> Start:
        """The start for the source of this name on a device in the state of `point`.

        Args:
            point: of the device.
            source: the source's name.
            after, until: the part of the source that the device takes.
            others: manifests of the other devices.
            leaves: their entries are left to them.
        """
        if point.is_open and point.source == source:
            cursor = max(point.cursor, after)
            return Start(point, point.run, True, cursor, point.started, until, others, leaves)
        return Start(point, point.run + 1, False, after, "", until, others, leaves)

    def takes(self, path: bytes) -> bool:
        """Whether a path is not behind the part that the device takes."""
        return self.until is None or path <= self.until

    def known(self) -> Iterator[PathRecord]:
        """What the device has of earlier runs behind the start."""
        if self.shares:
            return iter(())
        manifest = self.point.manifest
        earlier = manifest.merged(self.after, [run for run in manifest.runs if run < self.run])
        return takewhile(lambda item: self.takes(item[0]), earlier)

    def elsewhere(self) -> Iterator[PathRecord]:
        """What other devices of the set have behind the start, newest last where several have a path."""
        merged = merge_runs([manifest.merged(self.after) for manifest in self.others])
        return takewhile(lambda item: self.takes(item[0]), merged)

    async def pieces(self, side: SourceSide) -> AsyncGenerator[Pending, None]:
        """What comes before the work of the pass: the rest of the large entry that the last pack ends in."""
        point = self.point
        if not self.resumes:
            return
        for piece in filling(point.filling_bytes, side.zeros):
            yield ready(Outcome([piece]))
        if point.begins_again or point.open_file is not None:
            async with aclosing(side.rest(point.cursor, point.open_file)) as rest:
                async for pending in rest:
                    yield pending

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
                yield Problem(path, "changed", "changed", CHANGED)
            elif isinstance(record, Metadata) and record.xattrs_omitted:
                yield Problem(path, "xattrs", "xattrs-omitted", XATTRS_OMITTED)


def close_open_member(target: Target) -> None:
    """Give up the large file that the last pack ends in, within its own run: the next run is another
    source's.

    Raises:
        DeviceFullError, DeviceError: the device did not take it; it is as before.
    """
    document, point = target.device.document, target.points[0]
    zeros = ZeroFrames(largest_bytes=document.chunk_size_bytes, level=document.level)
    keys = point.manifest.headers[-1].keys
    writer = open_writer(target, RunIdentity(point.run, point.started, point.source, keys))
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
    finally:
        writer.close()


def take_back_member(target: Target) -> None:
    """Delete the packs of the large entry that the last pack ends in: the device turned out too small for it.

    Raises:
        DeviceError: the disk failed; fewer may be deleted.
    """
    for device, point in zip(target.devices, target.points, strict=True):
        take_back(device, point.begins_in, point.sequence - 1)


def open_writer(target: Target, identity: RunIdentity) -> DeviceWriter | MirrorWriter:
    """A writer that goes on where the last pack of a device, or of twins, ends."""
    writers = [
        DeviceWriter(
            device,
            identity,
            sequence=point.sequence,
            in_member=point.is_inside_member,
            used_bytes=point.used_bytes,
        )
        for device, point in zip(target.devices, target.points, strict=True)
    ]
    return writers[0] if len(writers) == 1 else MirrorWriter(writers)
