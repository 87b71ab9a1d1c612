"""One leg of a job: passes over a part of the source for one device, or twins, until all is settled or the
device is full.

However it ends, the device is in a committed state. An interruption, or a failure of source or workers,
commits first what came before it; a failure of the device leaves the last commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from transfer.core.progress import Progress
from transfer.device.clock import timestamp
from transfer.device.manifest import Manifest
from transfer.device.mirror import MirrorWriter
from transfer.device.reserve import make_reserve
from transfer.device.writer import DeviceWriter, RunIdentity
from transfer.errors import DeviceError, DeviceFullError
from transfer.jobs.filling.engine import Engine, Room
from transfer.jobs.filling.measure import CountAhead
from transfer.jobs.filling.result import DeviceResult, FillOptions, FillResult, Observer
from transfer.jobs.filling.route import Leg
from transfer.jobs.filling.source import Pass, Source, SourceSide
from transfer.jobs.filling.start import Start, close_open_member, open_writer, take_back_member
from transfer.jobs.filling.work import Counts

_MORE_PASSES = 2
_PER_WORKER, _BESIDE = 2, 2


@dataclass(frozen=True)
class Opened:
    """What is open while a device is filled."""

    writer: DeviceWriter | MirrorWriter
    side: SourceSide
    engine: Engine

    async def close(self) -> None:
        """Stop threads and processes."""
        await self.engine.close()
        await self.side.close()
        await asyncio.to_thread(self.writer.close)


class Passes:
    """Carries out one leg.

    Args:
        leg: the device, and its part of the source.
        source: where it comes from.
        options: of the command.
        result: of the command.
        observe: told the progress.
        verb: what the job is called.
        others: the set's other devices.
        largest_bytes: what the largest device that was named holds.

    Attributes:
        target: of the leg.
        device_result: what it got.
        share: how many devices are filled at once, and share what may be written in a second.
        run_number: of the run that was begun last, or gone on with.
    """

    def __init__(
        self,
        leg: Leg,
        source: Source,
        options: FillOptions,
        result: FillResult,
        observe: Observer,
        *,
        verb: str,
        others: tuple[Manifest, ...],
        largest_bytes: int,
    ) -> None:
        self._leg = leg
        self.target = leg.target
        self._source = source
        self._options = options
        self._result = result
        self._observer = observe
        self._verb = verb
        self._others = others
        self._room = Room(leg.target.device.document.chunk_size_bytes, largest_bytes)
        self._counts = Counts()
        self._ahead: CountAhead | None = None
        self._moved_before = result.bytes
        self._mark = result.mark()
        self._packs = 0
        self.run_number = 0
        self.share = 1
        document = leg.target.device.document
        twins = len(leg.target.devices)
        self.device_result = DeviceResult(leg.target.name, document.device_id, document.ordinal, twins)

    @property
    def brought(self) -> bool:
        """Whether anything was committed."""
        return self._packs > 0

    async def run(self, announce: Callable[[Start], None]) -> bool:
        """Make passes until one settles all, or the device is full; whether all was settled.

        Raises:
            DeviceError: the device failed; what was committed before stays.
            TransferError: source or workers failed; what came before is committed.
        """
        try:
            return await self._run(announce)
        except DeviceFullError:
            await self._settle_full()
            return False

    async def _run(self, announce: Callable[[Start], None]) -> bool:
        start = await self.find_start()
        announce(start)
        await self._pass(start)
        unchanged = self._result.unchanged
        for _ in range(_MORE_PASSES):
            if not (self._result.again > self._mark[3] or self._source.wants_another_pass()):
                break
            self._result.forget_problems(self._mark)
            self._source.pass_again()
            await self._pass(await self.find_start())
            self._result.unchanged = unchanged  # it sees again what the first one brought
        return True

    async def find_start(self) -> Start:
        """Where the device goes on."""
        target, name = self.target, self._source.name
        if not target.is_current:
            await asyncio.to_thread(target.find_points, clean=True)
        target.is_current = False
        point = target.points[0]
        if point.is_inside_member and not Start.at(point, name).resumes:
            await asyncio.to_thread(close_open_member, target)
            await asyncio.to_thread(target.find_points, clean=True)
        leg = self._leg
        start = Start.at(
            target.points[0],
            name,
            after=leg.after,
            until=leg.until,
            others=self._others,
            leaves=leg.leaves,
        )
        after_version = leg.after_version if start.after == leg.after else ""
        start = replace(start, after_version=after_version, until_version=leg.until_version)
        self.run_number = start.run
        self.device_result.run = start.run if start.resumes else start.point.run
        return start

    async def _settle_full(self) -> None:
        """A large entry that was cut off is taken back, and the run ended before it."""
        target = self.target
        await asyncio.to_thread(target.find_points, clean=True)
        point = target.points[0]
        if not (point.is_open and point.source == self._source.name):
            return
        if point.is_inside_member:
            await asyncio.to_thread(take_back_member, target)
            await asyncio.to_thread(target.find_points, clean=True)
            point = target.points[0]
        if point.is_open and point.source == self._source.name:
            await asyncio.to_thread(self._end_run)
            await asyncio.to_thread(target.find_points, clean=True)

    def _end_run(self) -> None:
        point = self.target.points[0]
        writer = open_writer(self.target, self._identity(point.run, point.started))
        writer.run_is_open = True
        try:
            writer.finish(continues=True)
        except DeviceFullError:  # it stays open: not even room for that
            writer.abandon()
        finally:
            writer.close()

    def _identity(self, run: int, started: str) -> RunIdentity:
        return RunIdentity(run, started or timestamp(), self._source.name, self._source.has_keys)

    def open(self, passed: Pass, start: Start) -> Opened:
        """Writer, side and engine for a pass on this device."""
        options, target = self._options, self.target
        self._counts = passed.counts
        writer = open_writer(target, self._identity(start.run, start.started))
        writer.run_is_open = start.resumes
        waiting = _PER_WORKER * options.workers + _BESIDE
        side = passed.side(waiting)
        engine = Engine(
            side,
            writer,
            result=self._result,
            mine=self.device_result,
            observe=self._observe,
            waiting=waiting,
            room=self._room,
            write_rate=self._write_rate(),
        )
        return Opened(writer, side, engine)

    def _write_rate(self) -> Callable[[], int | None] | None:
        """What this device may be written with, of what all may."""
        rate, share = self._options.write_rate, self.share
        if rate is None or share == 1:
            return rate
        return lambda: None if (now := rate()) is None else max(1, now // share)

    def make_reserves(self) -> None:
        """Set ballast aside on each device."""
        for device in self.target.devices:
            make_reserve(device)

    async def _pass(self, start: Start) -> None:
        """Bring what is missing."""
        self.make_reserves()
        passed = self._source.begin(self.target.device, start, self._result)
        opened = self.open(passed, start)
        if self._options.count_ahead:
            self._ahead = CountAhead(self.target.device, self._source, start)
        try:
            await _carry_out(opened, passed, start, continues=start.until is not None)
            await self.note_earlier(start)
        finally:
            if self._ahead is not None:
                await self._ahead.stop()
            await opened.close()
            await passed.close()
            self.add_up(opened.writer.sequence - start.point.sequence)
            self.add_up_pass(passed)

    async def note_earlier(self, start: Start) -> None:
        """Tell what went wrong before an interruption."""
        for problem in await asyncio.to_thread(lambda: list(start.earlier_problems())):
            self._result.note(problem)

    def add_up(self, packs: int) -> None:
        """Count what was committed."""
        self._packs += packs
        self._result.packs += packs
        self.device_result.packs += packs
        if packs:
            self.device_result.run = self.run_number

    def add_up_pass(self, passed: Pass) -> None:
        """Count what a pass has seen."""
        result, counts = self._result, passed.counts
        result.folders_opened += passed.opened
        result.unchanged += counts.unchanged
        result.entries_seen = max(result.entries_seen, counts.entries)

    def _observe(self, moved_bytes: int, path: bytes) -> None:
        result, counts = self._result, self._counts
        ahead = self._ahead.counts if self._ahead is not None else counts
        totals = ahead if ahead.files >= counts.files else counts
        self._observer(
            Progress(
                phase=self._verb,
                files_done=result.files + result.unchanged + counts.unchanged,
                bytes_done=self._moved_before + moved_bytes,
                files_total=totals.files,
                bytes_total=totals.bytes,
                is_total_final=totals.is_complete,
                stored_bytes=result.stored_bytes,
                failures=result.failed + result.changed,
                current_path=path,
            )
        )


async def _carry_out(opened: Opened, passed: Pass, start: Start, *, continues: bool) -> None:
    engine = opened.engine
    try:
        await engine.run(passed.work(), start.pieces(opened.side))
        await engine.finish(continues=continues)
    except DeviceFullError:
        raise  # the writer committed what fits
    except DeviceError:
        await asyncio.to_thread(opened.writer.abandon)
        raise
    except (asyncio.CancelledError, Exception):
        await asyncio.shield(engine.pause())
        raise
