"""The job: goes over the source once, and puts together what was found."""

from __future__ import annotations

import asyncio
import math
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import ExitStack, aclosing
from dataclasses import replace

from transfer.core.progress import Progress
from transfer.core.sizes import format_size
from transfer.device.path_table import PathTable
from transfer.errors import UsageError
from transfer.jobs.export.inventory_files import Report, get_report
from transfer.jobs.export.opening import open_bucket
from transfer.jobs.export.options import ExportOptions
from transfer.jobs.lists.output import NewFile
from transfer.jobs.plan.options import FILE_COST_S, OBJECT_COST_S, PlanOptions
from transfer.jobs.plan.outcome import Planned
from transfer.jobs.plan.refusals import Refusals
from transfer.jobs.plan.sample import SamplePoints, compress_sample
from transfer.jobs.plan.schedule import FillTime, make_schedule
from transfer.jobs.plan.sources import take_bucket, take_folder, wanted_of
from transfer.jobs.plan.spans import ENTRY_BYTES, OBJECT_BYTES, Spans
from transfer.jobs.plan.tally import Tally
from transfer.stores.contract import Store

_STEP = 2000
"""Entries between two looks at progress and interruptions."""

Observer = Callable[[Progress], None]


async def plan_folder(source: str, options: PlanOptions, observe: Observer) -> Planned:
    """Plan to copy a folder.

    Raises:
        UsageError: the source cannot be read, or the options make no sense.
        TransferError: the list cannot be written.
    """
    root = os.fsencode(source)
    found, points = await _plan(
        source,
        options,
        observe,
        FILE_COST_S,
        lambda tally: _paced(take_folder(root, options, tally)),
        of_bucket=False,
    )
    if points is not None:
        level, follow_links = options.profile.level, options.follow_links
        for sample in compress_sample(root, points.points, level, follow_links=follow_links):
            found.sample = sample
            observe(Progress("sample", bytes_done=sample.bytes, stored_bytes=sample.stored_bytes))
            await asyncio.sleep(0)
        found.likely_devices = _likely_devices(found)
    return found


def _likely_devices(found: Planned) -> int | None:
    if found.device_bytes is None or found.sample is None or not found.devices:
        return found.devices
    stored = found.counts.bytes * found.sample.part + found.counts.entries * ENTRY_BYTES
    return max(1, math.ceil(stored / found.device_bytes))


async def plan_bucket(source: str, chosen: ExportOptions, options: PlanOptions, observe: Observer) -> Planned:
    """Plan to export a bucket.

    Args:
        source: what it is called.
        chosen: what is to be exported, and where the bucket is.
        options: of the plan.
        observe: told how far it is.

    Raises:
        UsageError: the options make no sense, or lists or reports cannot be read.
        TransferError: the store does not list, or the list cannot be written.
    """

    async def opened(bucket: str) -> Store:
        address = replace(chosen.address, bucket=bucket)
        return await open_bucket(address, bwlimit=chosen.bwlimit, connections=chosen.connections)

    with tempfile.TemporaryDirectory(prefix="transfer-plan-") as folder:
        report = None if chosen.inventory is None else await get_report(chosen.inventory, folder, opened)
        store = await opened(chosen.address.bucket)
        try:
            return await plan_store(source, store, chosen, options, observe, report=report)
        finally:
            await store.aclose()


async def plan_store(
    source: str,
    store: Store,
    chosen: ExportOptions,
    options: PlanOptions,
    observe: Observer,
    *,
    report: Report | None = None,
) -> Planned:
    """The same of a bucket that is open, and an inventory report that was fetched."""
    async with aclosing(wanted_of(store, chosen, report)) as wanted:
        found, _ = await _plan(
            source,
            options,
            observe,
            OBJECT_COST_S,
            lambda tally: take_bucket(wanted, tally),
            of_bucket=True,
        )
    return found


async def _plan(
    source: str,
    options: PlanOptions,
    observe: Observer,
    usual_cost_s: float,
    take: Callable[[Tally], AsyncIterator[bytes]],
    *,
    of_bucket: bool,
) -> tuple[Planned, SamplePoints | None]:
    profile = options.profile
    room = device_room(options)
    rate = min(profile.write_bytes_s, options.source_bytes_s or profile.write_bytes_s)
    cost_s = usual_cost_s if options.file_cost_s is None else options.file_cost_s
    entry_bytes = OBJECT_BYTES if of_bucket else ENTRY_BYTES
    spans, fill = Spans(room, profile.pack, entry_bytes), FillTime(rate, cost_s)
    with ExitStack() as stack:
        inodes = stack.enter_context(PathTable())
        output = None
        if options.list_path is not None:
            output = stack.enter_context(NewFile(options.list_path, overwrite=options.overwrite))
        refusals = Refusals(output)
        tally = Tally(options, refusals, spans, fill, inodes, of_bucket=of_bucket)
        await _go_over(take(tally), tally, refusals, observe)
        tally.finish()
        if output is not None:
            output.finish()
    found = Planned(
        source=source,
        profile=profile.name,
        destination=_destination(options),
        counts=tally.counts,
        sizes=tally.sizes.steps(),
        device_bytes=room,
        devices=None if room is None else spans.devices,
        fills=spans.listed,
        schedule=make_schedule(
            fill_s=fill.total_s,
            write_bytes_s=rate,
            file_cost_s=cost_s,
            carrier_days=profile.carrier.days if options.carrier_days is None else options.carrier_days,
            read_bytes_s=profile.read_bytes_s,
            content_bytes=tally.counts.bytes,
            uplink_bits_s=options.uplink_bits_s,
            utilization=options.utilization,
        ),
        refused=refusals.counts,
        not_arriving=refusals.lost,
        refused_first=refusals.first,
        renamed_first=refusals.renamed_first,
        copies=options.copies,
    )
    return found, tally.points


def device_room(options: PlanOptions) -> int | None:
    """What one device has room for beside its reserve; None where the profile takes disks of any size.

    Raises:
        UsageError: a device of that capacity holds no pack.
    """
    profile = options.profile
    capacity = profile.capacity_bytes if options.capacity_bytes is None else options.capacity_bytes
    if capacity is None:
        return None
    room = capacity - profile.reserve_of(capacity)
    if room < profile.pack.pack_size_bytes:
        least = format_size(profile.pack.pack_size_bytes + profile.reserve_of(capacity))
        what = f"a capacity of {format_size(capacity)} is too small for {profile.name}"
        raise UsageError(what, remedy=f"it needs {least} at the least: one pack and the reserve")
    return room


async def _go_over(taken: AsyncIterator[bytes], tally: Tally, refusals: Refusals, observe: Observer) -> None:
    seen = 0
    async for path in taken:
        seen += 1
        if seen % _STEP == 0:
            counts = tally.counts
            files = counts.files + counts.hardlinks
            observe(Progress("count", files, counts.bytes, failures=refusals.lost, current_path=path))
    counts = tally.counts
    observe(Progress("count", counts.files + counts.hardlinks, counts.bytes, failures=refusals.lost))


async def _paced(found: Iterator[bytes]) -> AsyncGenerator[bytes]:
    """A walk that lets an interruption in now and then."""
    for number, path in enumerate(found):
        if number % _STEP == 0:
            await asyncio.sleep(0)
        yield path


def _destination(options: PlanOptions) -> str:
    prefix = f"the prefix {options.prefix!r} and " if options.prefix else ""
    return f"{prefix}Amazon S3's limits"
