"""The job of `transfer restore`: arrival, files unit by unit, links, folders; then all of it to the disk.

Only frames that hold something wanted are read, and packs without any stay unopened: what is read is checked
against its records, and those against the seal, but no digest of a whole pack is taken; `transfer verify`
does that. The manifest is read once, unless filters, several runs or names ask for a look ahead.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from transfer.core.progress import Progress
from transfer.jobs.restore.ahead import with_link_targets, without_lost_segments
from transfer.jobs.restore.arrivals import arrivals_of
from transfer.jobs.restore.bagging import Bagging
from transfer.jobs.restore.choice import Choice
from transfer.jobs.restore.naming import places_of
from transfer.jobs.restore.options import RestoreOptions
from transfer.jobs.restore.outcome import Outcome
from transfer.jobs.restore.target import Target, opened_directory, sync
from transfer.jobs.restore.tree import new_mark
from transfer.jobs.restore.trouble import directory_errors
from transfer.jobs.restore.units import units_of
from transfer.jobs.restore.work import OverError, Work


async def restore(
    roots: Sequence[str],
    directory: str,
    options: RestoreOptions,
    observe: Callable[[Progress], None] = lambda progress: None,
) -> Outcome:
    """Bring what devices hold into a directory.

    Args:
        roots: of the devices of one job, in any order.
        directory: where to; it exists.
        options: of the restore.
        observe: told how far it is, from any thread.

    Raises:
        TransferError: it could not come to its end; the same call goes on.
    """
    outcome = Outcome(observe)
    over = threading.Event()
    work = asyncio.ensure_future(asyncio.to_thread(_restore, roots, directory, options, outcome, over))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        over.set()
        await asyncio.wait([work])
        work.exception()  # whatever it was, the interruption is told
        raise
    return outcome


def _restore(
    roots: Sequence[str], directory: str, options: RestoreOptions, outcome: Outcome, over: threading.Event
) -> None:
    with opened_directory(directory, roots) as root, ExitStack() as stack:
        choice = Choice(options.filter, options.paths)
        arrivals = arrivals_of(roots, options, outcome)
        bagging = None
        if options.bag is not None:
            with directory_errors(directory):
                bagging = Bagging(root, directory, stack)
        target = Target(bagging.payload if bagging else root, root, directory, new_mark())
        places = places_of(arrivals, target.descriptor, target.mark, options, stack)
        units = units_of(arrivals, lambda header: choice.touches(header.paths))
        if options.paths:
            units = without_lost_segments(with_link_targets(units, choice), outcome.found)
        outcome.total_files = sum(header.entries for unit in units for header in unit.headers)
        outcome.total_bytes = sum(header.content_bytes for unit in units for header in unit.headers)
        sums = bagging.sums if bagging else None
        job = Work(units, target, options, choice, places, sums, outcome, over, stack)
        try:
            job.run()
        except OverError:
            return
        for path in choice.unmet():
            outcome.fail(path, "no device has it")
        sync(target.descriptor, directory)
        if bagging and options.bag is not None:
            with directory_errors(directory):
                bagging.finish(options.bag, outcome)
