"""One run of a job: the whole check where it is asked for, then the import; and how far it is.

It ends by itself, by an error, or by being cancelled: then the import is parked, and the next run of the job
goes on where this one was.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

from transfer.core.progress import Estimate, Progress, ProgressEstimator
from transfer.jobs.import_.job import Import
from transfer.jobs.import_.outcome import Outcome
from transfer.ledger.ledger import Ledger
from transfer.ledger.phases import Phase
from transfer.ledger.values import Counters, Job
from transfer.service.ingest.ledger_trouble import ledger_trouble
from transfer.service.ingest.plan import Plan
from transfer.service.ingest.verifying import told, verify_whole
from transfer.service.views import ProgressView
from transfer.stores.contract import Store

TICK_S = 0.25
_STALLED_TICK_S = 2.0
_UNCHECKED = (Phase.RECEIVED, Phase.VERIFYING)


@dataclass(frozen=True, slots=True)
class Means:
    """What every run needs.

    Attributes:
        open_store: opens the bucket; a run closes what it got.
        reports: folder in which each job has its own.
    """

    plan: Plan
    ledger: Ledger
    open_store: Callable[[], Awaitable[Store]]
    reports: str


class Run:
    """One run.

    Args:
        means: what it needs.
        job: as the ledger has it.
        root: of the device.
        on_change: called when there is something new to show, four times a second at most.
    """

    def __init__(self, means: Means, job: Job, root: str, on_change: Callable[[], None]) -> None:
        self._means = means
        self._job = job
        self._root = root
        self._on_change = on_change
        self._estimator = ProgressEstimator()
        self._estimate = Estimate()
        self._progress: Progress | None = None
        self._outcome: Outcome | None = None

    async def carry_out(self) -> None:
        """Bring the job to an end; the ledger says which.

        Raises:
            TransferError: it came to none.
        LedgerTroubleError: the ledger failed.
        """
        async with self._ticking():
            if self._means.plan.verify_first and self._job.phase in _UNCHECKED and not await self._verify():
                return
            store = await self._means.open_store()
            try:
                await self._import(store)
            finally:
                await store.aclose()

    async def _verify(self) -> bool:
        """Whether the device is what it was; otherwise the job is quarantined."""
        jobs, number = self._means.ledger.jobs, self._job.number
        with ledger_trouble():
            await jobs.set_phase(number, Phase.VERIFYING)
        self._on_change()
        options = self._means.plan.options
        found = await verify_whole(self._root, options.workers, self._observe, options.keys, options.signers)
        self._progress = None
        if not found.is_valid:
            with ledger_trouble():
                await jobs.set_phase(number, Phase.QUARANTINED, error=told(found))
        return found.is_valid

    async def _import(self, store: Store) -> None:
        options = replace(self._means.plan.options, prefix=self._job.identity.prefix)
        directory = os.path.join(self._means.reports, self._job.job_id)
        job = Import(
            self._root,
            store,
            options,
            self._means.ledger,
            report_directory=directory,
            observe=self._observe,
        )
        self._outcome = job.outcome
        await job.run()

    def _observe(self, progress: Progress) -> None:
        self._progress = progress

    @asynccontextmanager
    async def _ticking(self) -> AsyncIterator[None]:
        ticker = asyncio.create_task(self._tick())
        try:
            yield
        finally:
            ticker.cancel()
            with suppress(asyncio.CancelledError):
                await ticker

    async def _tick(self) -> None:
        """Show progress; a rate changes also when nothing moves."""
        clock = asyncio.get_running_loop().time
        shown, shown_s = self._progress, clock()
        while True:
            await asyncio.sleep(TICK_S)
            if self._progress is None:
                continue
            self._estimate = self._estimator.observe(clock(), self._progress)
            if self._progress is not shown or clock() - shown_s >= _STALLED_TICK_S:
                shown, shown_s = self._progress, clock()
                self._on_change()

    @property
    def has_brought_something(self) -> bool:
        """Whether the store has taken something that it did not have before."""
        outcome = self._outcome
        return outcome is not None and (outcome.objects > outcome.already or outcome.bytes_of_parts > 0)

    def counters(self) -> Counters | None:
        """Newer than those of the ledger; None before the import has begun."""
        return None if self._outcome is None else self._outcome.counters

    def view(self) -> ProgressView | None:
        """How far it is; None while there is nothing to say."""
        progress, outcome, estimate = self._progress, self._outcome, self._estimate
        if progress is None:
            return None
        return ProgressView(
            files_total=progress.files_total or 0,
            bytes_total=progress.bytes_total or 0,
            files_done=progress.files_done,
            bytes_verified=progress.bytes_done if outcome is None else outcome.bytes_verified,
            bytes_imported=0 if outcome is None else outcome.bytes + outcome.bytes_of_parts,
            bytes_s=estimate.bytes_s,
            files_s=estimate.files_s,
            remaining_s=estimate.remaining_s,
        )
