"""Looking without copying: what a job would do, what is left of one, how far it is to the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence

from transfer.device.device import Device
from transfer.device.disk import device_errors
from transfer.errors import TransferError
from transfer.jobs.filling.engine import Room
from transfer.jobs.filling.large_pieces import most_stored_bytes
from transfer.jobs.filling.result import FillResult
from transfer.jobs.filling.route import Route
from transfer.jobs.filling.source import Source
from transfer.jobs.filling.start import Start
from transfer.jobs.filling.targets import Target
from transfer.jobs.filling.work import Counts, LargeEntry, Together

_BEGIN_AFTER_S = 3.0
_PER_ENTRY_BYTES = 1024


async def measure(targets: Sequence[Target], source: Source, route: Route) -> FillResult:
    """What a job would do now; `left_entries`, `left_files`, `left_bytes` are what it would bring.

    Raises:
        TransferError: device or source cannot be read.
    """
    result = FillResult()
    largest = max(holds_bytes(target) for target in targets)
    for number, leg in enumerate(route.legs):
        others = tuple(
            other.points[0].manifest for other in targets if other is not leg.target and other.points
        )
        start = Start.at(leg.target.points[0], source.name, after=leg.after, until=leg.until, others=others)
        rooms = [room_now(target) for target in (leg.target, *route.spares)]
        room = Room(leg.target.device.document.chunk_size_bytes, largest)
        left = await measure_from(leg.target.device, source, start, rooms, room)
        if not number:
            result.run, result.resumed_after = left.run, left.resumed_after
        result.left_entries += left.left_entries
        result.left_files += left.left_files
        result.left_bytes += left.left_bytes
        result.unchanged += left.unchanged
        result.entries_seen += left.entries_seen
        result.folders_opened += left.folders_opened
        result.needed += left.needed
        result.full = result.full or left.full
        for problem in left.problems:
            result.note(problem)
    return result


async def measure_from(
    device: Device, source: Source, start: Start, rooms: Sequence[int] = (), room: Room | None = None
) -> FillResult:
    """What is to be done from a start that was found.

    Args:
        device: that it is for.
        source: closed by the caller.
        start: on that device.
        rooms: what surely goes onto this device, and onto those behind it: how many of them are needed, if
            nothing can be compressed, is counted in `needed`; `full` says that they do not suffice.
        room: of all devices: what is too large for each of them is told as the problem that it will be.
    """
    result, point = FillResult(), start.point
    passed = await asyncio.to_thread(lambda: source.begin(device, start, result, only_counts=True))
    need = _Need(list(rooms), device.document.chunk_size_bytes)
    refused = list[LargeEntry]()
    try:
        if point.open_file is not None and start.resumes:
            left = point.open_file.begin.size_bytes - point.open_file.sums.bytes
            result.left_entries += 1
            result.left_bytes += left
            result.left_files += 1
            need.add(left)
        async with contextlib.aclosing(passed.work()) as work:
            async for item in work:
                if isinstance(item, Together):
                    continue
                if isinstance(item, LargeEntry):
                    if room is not None and room.refuses(item):
                        refused.append(item)
                        continue
                    result.left_entries += 1
                    need.add(most_stored_bytes(item.size_bytes, need.chunk_size_bytes))
                else:
                    result.left_entries += item.orders
                    need.add(item.content_bytes + item.orders * _PER_ENTRY_BYTES)
    finally:
        await passed.close()
    counts = passed.counts
    result.run, result.resumed_after = start.run, start.after if start.resumes else None
    result.left_files += counts.files - counts.unchanged - len(refused)
    result.left_bytes += max(0, counts.bytes - sum(item.size_bytes for item in refused))
    if room is not None:
        for problem in (problem for item in refused for problem in room.refusal(item).problems):
            result.note(problem)
    result.unchanged = counts.unchanged
    result.entries_seen = counts.entries
    result.folders_opened = passed.opened
    result.needed, result.full = need.devices, bool(rooms) and need.is_too_much
    return result


def room_now(target: Target) -> int:
    """What surely goes onto a device now, onto the smallest of twins.

    Raises:
        DeviceError: it cannot be read.
    """
    rooms = []
    for device, point in zip(target.devices, target.points, strict=True):
        document = device.document
        with device_errors(device.root):
            status = os.statvfs(device.root)
        room = status.f_bavail * status.f_frsize
        if document.capacity_bytes is not None:
            room = min(room, document.capacity_bytes - point.used_bytes)
        rooms.append(max(0, room - document.reserve_bytes))
    return min(rooms)


def holds_bytes(target: Target) -> int:
    """What an empty device of this kind holds, the smallest of twins."""
    return min(_holds_bytes(device) for device in target.devices)


def _holds_bytes(device: Device) -> int:
    document = device.document
    with device_errors(device.root):
        status = os.statvfs(device.root)
    room = status.f_blocks * status.f_frsize
    if document.capacity_bytes is not None:
        room = min(room, document.capacity_bytes)
    return max(0, room - document.reserve_bytes)


class _Need:
    """Counts the devices that entries take, each whole on one of them."""

    def __init__(self, rooms: list[int], chunk_size_bytes: int) -> None:
        self.chunk_size_bytes = chunk_size_bytes
        self.devices = 0
        self.is_too_much = False
        self._rooms = rooms
        self._left = 0

    def add(self, size_bytes: int) -> None:
        """Put the next entry, or batch of small ones, onto a device."""
        while size_bytes > self._left or not self.devices:
            if not self._rooms:
                self.is_too_much = True
                return
            self._left = self._rooms.pop(0)
            self.devices += 1
        self._left -= size_bytes


class CountAhead:
    """Finds the work once more without doing it, for the totals. Only long jobs need them, so it begins
    late."""

    def __init__(self, device: Device, source: Source, start: Start) -> None:
        self.counts = Counts()
        self._arguments = device, source, start
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End it, wherever it is."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        await asyncio.sleep(_BEGIN_AFTER_S)
        device, source, start = self._arguments
        # Nothing but an estimate: what goes wrong here is met and told by the copy itself.
        with contextlib.suppress(OSError, TransferError):
            passed = await asyncio.to_thread(
                lambda: source.begin(device, start, FillResult(), only_counts=True)
            )
            self.counts = passed.counts
            try:
                async with contextlib.aclosing(passed.work()) as work:
                    async for _ in work:
                        pass
            finally:
                await asyncio.shield(passed.close())
