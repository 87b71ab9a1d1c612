"""Several devices filled at once: what one pass finds is dealt out to them, each gets a sorted part of it.

The dealer gives the next piece of work to a lane that surely has room for it, and among these to the one that
has the least to do. Where no lane has room all of them end: what was dealt before is on one of them, the rest
is for other devices. After a crash the pass begins behind the cursor that is furthest back: what any device
has is passed over, and a path goes only to a lane whose cursor is before it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace

from transfer.errors import UsageError
from transfer.jobs.filling.lane import Lane
from transfer.jobs.filling.large_pieces import most_stored_bytes
from transfer.jobs.filling.passes import Passes
from transfer.jobs.filling.result import FillResult
from transfer.jobs.filling.source import Pass, Source
from transfer.jobs.filling.start import Start
from transfer.jobs.filling.targets import Target
from transfer.jobs.filling.work import LargeEntry, Work

_PER_ENTRY_BYTES = 2048


class Stripe:
    """One pass for several devices.

    Args:
        passes: one for each device.
        source: where it comes from.
        result: of the command.
        largest_bytes: what the largest device that was named holds.
    """

    def __init__(
        self, passes: Sequence[Passes], source: Source, result: FillResult, largest_bytes: int
    ) -> None:
        self._passes = passes
        self._source = source
        self._result = result
        self._largest = largest_bytes
        self._lanes: list[Lane] = []
        self._moved = asyncio.Event()
        self.cursor = b""

    async def run(self, starts: Sequence[Start]) -> bool:
        """Deal out everything; whether there was room for all of it. `cursor` is how far it came.

        Args:
            starts: of each device.

        Raises:
            DeviceFullError: a disk was full where room was expected; each device goes on from its last
                commit.
            DeviceError, TransferError: a device, the source or a worker failed; the same.
        """
        start = _shared(starts)
        self.cursor = start.after
        device = self._passes[0].target.device
        for passes in self._passes:
            passes.share = len(self._passes)
            passes.make_reserves()
        passed = self._source.begin(device, start, self._result)
        try:
            for passes, own in zip(self._passes, starts, strict=True):
                self._lanes.append(Lane(passes, own, passed, self._moved))
            is_all = await self._deal_all(passed, starts)
            for lane in self._lanes:
                await lane.end()
            for lane in self._lanes:
                await lane.finish(continues=not is_all)
        except BaseException:
            await asyncio.shield(self._stop())
            raise
        finally:
            for lane in self._lanes:
                await lane.close()
            await passed.close()
            self._passes[0].add_up_pass(passed)
        return is_all

    async def _stop(self) -> None:
        await asyncio.gather(*(lane.stop() for lane in self._lanes))

    async def _deal_all(self, passed: Pass, starts: Sequence[Start]) -> bool:
        under_way = {own.after for own in starts if own.resumes and own.point.open_file is not None}
        async with contextlib.aclosing(passed.work()) as works:
            async for work in works:
                path = self._source.first_path(work)
                if path in under_way and isinstance(work, LargeEntry):
                    continue  # its lane goes on with it by itself
                need = self._need(work)
                lane = await self._choose(path, need)
                if lane is None:
                    return False
                above = lane.opened.side.above(work, lane.last)
                if above is not None:
                    lane.deal(above, lane.last, self._need(above))
                    lane = await self._space_of(lane)
                lane.deal(work, self._source.last_path(work), need)
                self.cursor = max(self.cursor, lane.last)
        return True

    def _need(self, work: Work) -> int:
        if not isinstance(work, LargeEntry):
            return work.content_bytes + (work.orders + 1) * _PER_ENTRY_BYTES
        need = most_stored_bytes(work.size_bytes, self._passes[0].target.device.document.chunk_size_bytes)
        return need if need <= self._largest else 0  # a lane refuses it by name

    async def _choose(self, path: bytes, need_bytes: int) -> Lane | None:
        """The lane for a piece of work; None where none has room."""
        while True:
            self._raise_if_ended()
            able = [lane for lane in self._lanes if lane.may_take(path)]
            fitting = [lane for lane in able if lane.has_room(need_bytes)]
            free = [lane for lane in fitting if lane.has_space]
            if free:
                return min(free, key=lambda lane: lane.backlog)
            if fitting:
                await self._wait()
                continue
            unsure = [lane for lane in able if not lane.is_drained]
            if not unsure:
                return None
            await asyncio.gather(*(lane.drain() for lane in unsure))

    async def _space_of(self, lane: Lane) -> Lane:
        while not lane.has_space:
            self._raise_if_ended()
            await self._wait()
        return lane

    async def _wait(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    def _raise_if_ended(self) -> None:
        """A lane that ended before its time has failed."""
        for lane in self._lanes:
            if lane.task.done():
                lane.task.result()
                raise AssertionError("a lane ended before its work")


def check_alike(targets: Sequence[Target]) -> None:
    """Raise UsageError when devices cannot be filled with the same pieces."""
    first = targets[0].device.document
    sizes = (first.chunk_size_bytes, first.batch_size_bytes)
    for target in targets:
        document = target.device.document
        if (document.chunk_size_bytes, document.batch_size_bytes) != sizes:
            raise UsageError(
                f"devices {targets[0].name} and {target.name} have different chunks: --stripe fills devices "
                "of one kind",
                remedy="prepare them with the same profile, or copy without --stripe",
            )


def _shared(starts: Sequence[Start]) -> Start:
    """Where the pass begins: behind the cursor that is furthest back."""
    after = min(start.after for start in starts)
    manifests = [manifest for start in starts for manifest in (*start.others, start.point.manifest)]
    others = {id(manifest.device): manifest for manifest in manifests}
    return replace(
        starts[0], resumes=False, after=after, until=None, others=tuple(others.values()), shares=True
    )
