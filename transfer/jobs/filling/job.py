"""The job that fills devices from a source: finds where a set of devices stands, gives each its part, says
what was done and what was not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from transfer.device.manifest import Manifest
from transfer.errors import DeviceFullError
from transfer.jobs.filling.custody import tell_custody
from transfer.jobs.filling.measure import holds_bytes, measure, measure_from
from transfer.jobs.filling.memory import JobMemory, MemberState, recall, remember
from transfer.jobs.filling.passes import Passes
from transfer.jobs.filling.result import Announcer, FillOptions, FillResult, Observer
from transfer.jobs.filling.route import Lanes, Leg, Route, find_lanes, find_route, members_of
from transfer.jobs.filling.source import Source
from transfer.jobs.filling.start import Start, take_back_member
from transfer.jobs.filling.stripe import Stripe, check_alike
from transfer.jobs.filling.targets import Target, locked_targets, open_targets
from transfer.jobs.filling.versions import last_version


async def fill(
    source: Source,
    roots: Sequence[str],
    options: FillOptions,
    observe: Observer,
    announce: Announcer,
    *,
    verb: str = "copy",
) -> FillResult:
    """Bring a source to devices of one job, one after the other; goes on where it stopped.

    Args:
        source: closed by the caller.
        roots: the devices; those of the set that are full already may be among them.
        options: of the command.
        observe: told the progress now and then.
        announce: told for each device what was found on it and where it goes on.
        verb: what the job is called.

    Raises:
        UsageError: the source cannot be brought there, or the devices do not belong together.
        LockedError: another process works on one of them.
        DeviceError: there is no device, or it failed; what was committed before stays.
        AccessError: it is encrypted, and this host did not prepare it.
        TransferError: source or workers failed; what came before is committed.
    """
    targets = open_targets(roots, options)
    for target in targets:
        for device in target.devices:
            source.check(device)
    started = time.monotonic()
    if options.dry_run:
        for target in targets:
            target.find_points(clean=False)
        return await measure(targets, source, _route(targets, source, options))
    with locked_targets(targets, verb):
        ours = _known_devices(targets, options)
        for target in targets:
            await asyncio.to_thread(target.find_points, clean=True, ours=ours)
        result = await _Filling(targets, source, options, observe, announce, verb).run()
    result.elapsed_s = time.monotonic() - started
    return result


def _leave_whole(target: Target) -> None:
    """A large entry that may not fit is taken back; the run stays open."""
    target.find_points(clean=True)
    if target.points[0].is_inside_member:
        take_back_member(target)
        target.find_points(clean=True)


def _known_devices(targets: Sequence[Target], options: FillOptions) -> frozenset[str]:
    """The devices that this host has filled."""
    memory = recall(options.state_directory, targets[0].device.document.job)
    return frozenset(member.device_id for member in memory.devices)


def _route(targets: Sequence[Target], source: Source, options: FillOptions) -> Route:
    """What a dry run looks at."""
    memory = recall(options.state_directory, targets[0].device.document.job)
    lanes = find_lanes(targets, memory, source.name) if options.stripe else None
    if lanes is not None:
        check_alike(lanes.targets)
        return Route([Leg(lanes.targets[0], lanes.after)], lanes.targets[1:])
    return find_route(targets, memory, source.name)


class _Filling:
    """One command's work: leg after leg."""

    def __init__(
        self,
        targets: Sequence[Target],
        source: Source,
        options: FillOptions,
        observe: Observer,
        announce: Announcer,
        verb: str,
    ) -> None:
        self._targets = targets
        self._source = source
        self._options = options
        self._observe = observe
        self._announce = announce
        self._verb = verb
        self._result = FillResult()
        self._largest = max(holds_bytes(target) for target in targets)
        self._memory = JobMemory(job="")

    async def run(self) -> FillResult:
        """Carry out all legs; where a device is full, the next empty one goes on."""
        route, lanes = self._find_way()
        if lanes is not None:
            route = await self._fill_lanes(lanes)
        await self._go(route)
        return self._result

    def _find_way(self) -> tuple[Route, Lanes | None]:
        job = self._targets[0].device.document.job
        self._memory = recall(self._options.state_directory, job)
        lanes = find_lanes(self._targets, self._memory, self._source.name) if self._options.stripe else None
        if lanes is not None:
            check_alike(lanes.targets)
            return Route([]), lanes
        return find_route(self._targets, self._memory, self._source.name), None

    async def _fill_lanes(self, lanes: Lanes) -> Route:
        """Fill several devices at once; what is to be done afterwards, one after the other."""
        legs = [Leg(target, lanes.after) for target in lanes.targets]
        every = [self._passes(leg) for leg in legs]
        self._result.devices += [passes.device_result for passes in every]
        for leg in legs:
            self._remember(leg.target, lanes.after, None, "open", is_stripe=True)
        starts = [await passes.find_start() for passes in every]
        for passes, start in zip(every, starts, strict=True):
            self._announce_start(passes.target, start)
        stripe = Stripe(every, self._source, self._result, self._largest)
        try:
            is_all = await stripe.run(starts)
        except DeviceFullError:
            await self._tell_full(legs, every)
            return Route([])
        for passes in every:
            if passes.brought:
                await asyncio.to_thread(self._tell_custody, passes.target)
        for passes, start in zip(every, starts, strict=True):
            await passes.note_earlier(start)
            self._result.run = passes.device_result.run
            passes.device_result.state = "complete" if is_all else "full"
            await asyncio.to_thread(passes.target.find_points, clean=False)
        if any(passes.target.points[0].is_open for passes in every):
            await self._tell_full(legs, every)
            return Route([])
        until = None if is_all else stripe.cursor
        for leg in legs:
            self._remember(leg.target, lanes.after, until, "complete" if is_all else "full", is_stripe=True)
        if not is_all:
            last = max(lanes.targets, key=lambda target: target.ordinal)
            return Route([Leg(last, stripe.cursor)])
        if self._result.again or any(start.resumes for start in starts):
            self._source.pass_again()
            return Route([Leg(target, lanes.after, leaves=True) for target in lanes.targets])
        return Route([])

    async def _tell_full(self, legs: Sequence[Leg], every: Sequence[Passes]) -> None:
        """A disk was full where room was expected: all devices are to go on from where they are."""
        for leg in legs:
            await asyncio.to_thread(_leave_whole, leg.target)
        cursors = [self._cursor(leg, passes.run_number) for leg, passes in zip(legs, every, strict=True)]
        await self._measure_rest(legs[cursors.index(min(cursors))])
        self._result.full = True

    async def _go(self, route: Route) -> None:
        legs, spares = list(route.legs), list(route.spares)
        while legs:
            leg = legs.pop(0)
            rest = await self._carry_out(leg)
            if rest is None:
                continue
            if spares:
                legs.insert(0, Leg(spares.pop(0), rest.after, rest.until))
            else:
                await self._measure_rest(rest)
        self._result.unused = [spare.name for spare in spares]

    async def _carry_out(self, leg: Leg) -> Leg | None:
        """One leg; what it leaves for another device."""
        target, name = leg.target, self._source.name
        after = self._begin_of(leg)
        leg.after_version = self._memory.version_before(name, target.ordinal, leg.after)
        if leg.until is not None:
            leg.until_version = self._memory.version_until(name, target.ordinal, leg.until)
        self._remember(target, after, None, "open")
        passes = self._passes(leg)
        mine = passes.device_result
        earlier = (one for one in self._result.devices if one.device_id == mine.device_id)
        passes.device_result = next(earlier, mine)
        if passes.device_result is mine:
            self._result.devices.append(mine)
        is_done = await passes.run(lambda start: self._announce_start(target, start))
        if passes.brought:
            await asyncio.to_thread(self._tell_custody, target)
        self._result.run = passes.device_result.run
        passes.device_result.state = "complete" if is_done else "full"
        if not is_done or len(self._targets) > 1:
            await asyncio.to_thread(target.find_points, clean=False)
        if is_done:
            state: MemberState = "complete" if leg.until is None else "full"
            self._remember(target, after, leg.until, state, until_version=leg.until_version)
            return None
        cursor = self._cursor(leg, passes.run_number)
        version = last_version(target.points[0].manifest, cursor) if self._source.has_keys else ""
        self._remember(target, after, cursor, "full", until_version=version)
        return Leg(target, cursor, leg.until)

    def _passes(self, leg: Leg) -> Passes:
        return Passes(
            leg,
            self._source,
            self._options,
            self._result,
            self._observe,
            verb=self._verb,
            others=self._others(leg.target),
            largest_bytes=self._largest,
        )

    def _tell_custody(self, target: Target) -> None:
        for device in target.devices:
            tell_custody(device, self._options.who)

    def _others(self, target: Target) -> tuple[Manifest, ...]:
        return tuple(
            other.points[0].manifest for other in self._targets if other is not target and other.points
        )

    def _begin_of(self, leg: Leg) -> bytes:
        """Where the device's part begins, which may be before the leg."""
        member = self._memory.find(leg.target.device.document.device_id, self._source.name)
        return min(member.after.path_bytes, leg.after) if member is not None else leg.after

    def _cursor(self, leg: Leg, run: int) -> bytes:
        """The last path of what the device took in a run before it was full."""
        headers = leg.target.points[0].manifest.headers
        paths = [header.paths[1] for header in headers if header.run == run and header.paths]
        return max([leg.after, *paths])

    def _remember(
        self,
        target: Target,
        after: bytes,
        until: bytes | None,
        state: MemberState,
        *,
        until_version: str = "",
        is_stripe: bool = False,
    ) -> None:
        known = self._memory.find(target.device.document.device_id, self._source.name)
        is_stripe = is_stripe or (known is not None and known.is_stripe)
        for member in members_of(
            target,
            self._source.name,
            after=after,
            until=until,
            state=state,
            until_version=until_version,
            is_stripe=is_stripe,
        ):
            self._memory.put(member)
        self._result.not_remembered = remember(self._options.state_directory, self._memory)

    def _announce_start(self, target: Target, start: Start) -> None:
        result = self._result
        result.run, result.device = start.run, target.name
        result.resumed_after = start.after if start.resumes else None
        result.packs_found = len(start.point.manifest.headers)
        result.deleted = target.deleted
        self._announce(result)

    async def _measure_rest(self, rest: Leg) -> None:
        """Say how much is left."""
        target, result = rest.target, self._result
        start = Start.at(
            target.points[0],
            self._source.name,
            after=rest.after,
            until=rest.until,
            others=tuple(one.points[0].manifest for one in self._targets if one.points),
        )
        left = await measure_from(target.device, self._source, start)
        result.left_entries += left.left_entries
        result.left_files += left.left_files
        result.left_bytes += left.left_bytes
        result.full = result.full or bool(left.left_entries) or start.resumes
