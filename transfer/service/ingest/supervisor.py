"""All that happens at one dock: devices come, their imports run, people ask and give orders.

    dock_watch   which devices are there, and whole (folders, arrivals, papers, notices, presence, dock_lock)
    reception    gives each its job in the ledger
    queue        runs the jobs (running, verifying, patience)
    orders       pause, resume, retry, cancel
    changes      tells who listens

Guarantees:

- The ledger is the truth: what is kept here is what a start finds out anew. A stop at any moment loses
  nothing, and the next start goes on.
- A fault of one device or one job is its own. The ledger's is everybody's: `run` ends with its error.
- What is kept is bounded by what is in the dock, and that by `folders.MAX_FOLDERS`.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from logging import Logger
from typing import Final, TypeVar

from transfer.errors import TransferError, UsageError
from transfer.ledger.ledger import Ledger
from transfer.ledger.values import Job, ObjectState
from transfer.service.ingest.changes import Changes, Subject
from transfer.service.ingest.destinations import is_destination_of
from transfer.service.ingest.dock_watch import RESCAN_S, DockWatch
from transfer.service.ingest.folders import MAX_FOLDERS
from transfer.service.ingest.job_view import entry_view, job_view, totals_of
from transfer.service.ingest.ledger_trouble import LedgerTroubleError, ledger_trouble
from transfer.service.ingest.orders import Orders
from transfer.service.ingest.patience import Patience
from transfer.service.ingest.plan import Plan
from transfer.service.ingest.queue import ImportQueue
from transfer.service.ingest.reception import Reception, Turns
from transfer.service.ingest.running import Means
from transfer.service.ingest.totals import Totals
from transfer.service.refusals import NoSuchJobError
from transfer.service.views import Action, Change, DeviceView, EntryPage, JobPage, JobView
from transfer.stores.contract import Store

REPORT_NAMES: Final = frozenset(
    {"report.json", "report.html", "success.csv", "failure.csv", "skipped.csv", "repair.txt"}
)
_JOB_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_JOB_CURSOR = re.compile(r"[0-9]{1,18}")
_ENTRY_CURSOR = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})")
_MAX_NAMES = 10_000

Value = TypeVar("Value")


def utc_now() -> datetime:
    """The time of the host."""
    return datetime.now(UTC)


class Supervisor:
    """All that happens at one dock.

    Args:
        dock: the folder where devices arrive; need not be there yet.
        plan: what becomes of them.
        ledger: open.
        open_store: opens the bucket; asked for each run of an import, which closes what it got.
        reports: folder; each job has a folder in it, named by its id.
        log: told what happens, with `job_id`, `device_id` and `folder` in `extra` where they apply.
        now: time of the host, only to tell people when something is tried again.
        settle_s: a device is looked at when nothing in its folder has changed for so long.
        rescan_s: how often all of the dock is looked at.
        patience: how long a job rests whose store or device is away.
    """

    def __init__(
        self,
        *,
        dock: str,
        plan: Plan,
        ledger: Ledger,
        open_store: Callable[[], Awaitable[Store]],
        reports: str,
        log: Logger,
        now: Callable[[], datetime] = utc_now,
        settle_s: float = 5.0,
        rescan_s: float = RESCAN_S,
        patience: Patience | None = None,
    ) -> None:
        self._plan = plan
        self._ledger = ledger
        self._reports = reports
        self._log = log
        self._changes = Changes(self._render)
        self._turns = Turns()
        self._names: dict[str, tuple[str, int]] = {}
        self._trouble: TransferError | None = None
        self._lost = asyncio.Event()
        self._is_running = False
        means = Means(plan, ledger, open_store, reports)
        self._dock = DockWatch(
            root=dock,
            options=means.plan.options,
            settle_s=settle_s,
            on_change=lambda name: self._changes.publish("device", name),
            log=log,
            rescan_s=rescan_s,
        )
        self._queue = ImportQueue(
            means=means,
            patience=patience or Patience(),
            log=log,
            now=now,
            on_change=lambda job_id: self._changes.publish("job", job_id),
            suspect=self._dock.touch,
        )
        self._orders = Orders(means, self._queue)
        self._dock.keeper = Reception(
            root=self._dock.root,
            plan=plan,
            ledger=ledger,
            queue=self._queue,
            turns=self._turns,
            on_arrival=self._show_others_of,
        )

    async def run(self) -> None:
        """Watch, queue, import, until cancelled; then park all.

        Raises:
            LockedError: another service has the dock.
            TransferError: the ledger failed; what was acknowledged is in it.
        """
        try:
            await self._dock.lock()
            self._is_running = True
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._queue.run())
                tasks.create_task(self._dock.run())
                tasks.create_task(self._watch_ledger())
        except BaseExceptionGroup as group:
            raise self._reason(group) from group
        finally:
            self._is_running = False
            self._dock.unlock()
            self._changes.close()

    async def devices(self) -> list[DeviceView]:
        """The devices of the dock and those on their way to it, in the order of their folders."""
        return self._dock.views()

    async def jobs(self, *, before: str | None = None, limit: int = 100) -> JobPage:
        """Jobs, newest first.

        Args:
            before: `next` of the page before.
            limit: how many at most.

        Raises:
            UsageError: `before` is no cursor.
        """
        if before is not None and not _JOB_CURSOR.fullmatch(before):
            raise UsageError(
                f"{before[:40]!r} is no cursor of a list of jobs", remedy="use `next` as it came"
            )
        start = {} if before is None else {"before": int(before)}
        found = await self._asked(self._ledger.jobs.page(limit=limit + 1, **start))
        page = found[:limit]
        items = [await self._view(job) for job in page]
        return JobPage(items, str(page[-1].number) if len(found) > limit else None)

    async def job(self, job_id: str) -> JobView:
        """One job.

        Raises:
            NoSuchJobError: there is none of this id.
        """
        return await self._view(await self._find(job_id))

    async def entries(
        self, job_id: str, state: ObjectState, *, after: str | None = None, limit: int = 100
    ) -> EntryPage:
        """What became of a job's entries, in the order of the device.

        Args:
            job_id: of the job.
            state: of the entries.
            after: `next` of the page before.
            limit: how many at most.

        Raises:
            NoSuchJobError: there is no such job.
            UsageError: `after` is no cursor.
        """
        start = (-1, -1)
        if after is not None:
            if (match := _ENTRY_CURSOR.fullmatch(after)) is None:
                raise UsageError(f"{after[:40]!r} is no cursor of entries", remedy="use `next` as it came")
            start = (int(match[1]), int(match[2]))
        job = await self._find(job_id)
        found = await self._asked(self._ledger.objects.page(job.number, state, after=start, limit=limit + 1))
        page = found[:limit]
        more = len(found) > limit
        return EntryPage(
            [entry_view(entry) for entry in page],
            f"{page[-1].sequence}.{page[-1].position}" if more else None,
        )

    async def act(self, job_id: str, action: Action) -> JobView:
        """Do what a person wants of a job; when this returns it is durable.

        Raises:
            NoSuchJobError: there is no such job.
            NotNowError: it is in no state for this.
        """
        async with self._turns.of(job_id):
            job = await self._find(job_id)
            self._log.info("asked to %s", action.value, extra={"job_id": job_id})
            try:
                await self._orders.carry_out(job, action)
            except LedgerTroubleError as trouble:
                self._lose_ledger(trouble.error)
                raise trouble.error from trouble
            return await self._view(await self._find(job_id))

    def report_file(self, job_id: str, name: str) -> str | None:
        """Path of a file of a job's report, one of REPORT_NAMES; None where it is not there."""
        if name not in REPORT_NAMES or not _JOB_ID.fullmatch(job_id):
            return None
        path = os.path.join(self._reports, job_id, name)
        return path if os.path.isfile(path) and not os.path.islink(path) else None

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[Change]]:
        """Changes from now on; a slow reader misses states in between, never the last one.

        The iterator ends with the service, or when its reader falls behind without bound.
        """
        return self._changes.subscribe()

    def problems(self) -> list[str]:
        """Why the service is not ready; empty when it is."""
        found = [] if self._is_running else ["the service is not running"]
        if self._dock.problem:
            found.append(self._dock.problem)
        if self._dock.is_overfull:
            found.append(f"the dock holds more than {MAX_FOLDERS} folders; the others are not looked at")
        if self._trouble is not None:
            found.append(self._trouble.what)
        return found

    def totals(self) -> Totals:
        """Sums for metrics, of the jobs whose devices are in the dock."""
        works = self._queue.works
        resting = sum(work.rest is not None for work in works)
        return Totals([totals_of(work) for work in works], self._queue.running, self._queue.queued, resting)

    # How it is done.

    async def _find(self, job_id: str) -> Job:
        job = await self._asked(self._ledger.jobs.by_id(job_id)) if _JOB_ID.fullmatch(job_id) else None
        if job is None:
            raise NoSuchJobError(f"there is no job {job_id[:40]!r}", remedy="look at the list of jobs")
        return job

    async def _view(self, job: Job) -> JobView:
        device_job, ordinal = await self._device_names(job.identity.device_id)
        return job_view(
            job,
            device_job=device_job,
            ordinal=ordinal,
            devices=await self._asked(self._ledger.devices.set_of(device_job)),
            work=self._queue.find(job.job_id),
            waiting=self._queue.waiting(job.job_id),
            is_ours=is_destination_of(
                self._plan.options,
                job.identity,
                job=device_job,
                ordinal=ordinal,
            ),
        )

    def _show_others_of(self, device_job: str) -> None:
        """A device of a job arrived: less of it is missing, or more is known to be."""
        for work in self._queue.works:
            if self._names.get(work.job.identity.device_id, ("", 0))[0] == device_job:
                self._changes.publish("job", work.job.job_id)

    async def _device_names(self, device_id: str) -> tuple[str, int]:
        """Job and ordinal of a device; the ledger never lets them change."""
        if (names := self._names.get(device_id)) is None:
            known = await self._asked(self._ledger.devices.get(device_id))
            names = (known.device.job, known.device.ordinal) if known is not None else ("", 0)
            if len(self._names) >= _MAX_NAMES:
                del self._names[next(iter(self._names))]
            self._names[device_id] = names
        return names

    async def _render(self, subject: Subject) -> Change | None:
        kind, name = subject
        if kind == "device":
            device = self._dock.view(name)
            return Change(device, None) if device is not None else None
        job = await self._asked(self._ledger.jobs.by_id(name))
        return Change(None, await self._view(job)) if job is not None else None

    async def _asked(self, question: Awaitable[Value]) -> Value:
        """An answer of the ledger; where it has none any more, that is the end of the service."""
        try:
            with ledger_trouble():
                return await question
        except LedgerTroubleError as trouble:
            self._lose_ledger(trouble.error)
            raise trouble.error from trouble

    def _lose_ledger(self, error: TransferError) -> None:
        self._trouble = self._trouble or error
        self._lost.set()

    async def _watch_ledger(self) -> None:
        await self._lost.wait()
        if self._trouble is not None:
            raise LedgerTroubleError(self._trouble)

    def _reason(self, group: BaseExceptionGroup[BaseException]) -> BaseException:
        """What ended it: the ledger's error before those that it brought about."""
        trouble, rest = group.split(LedgerTroubleError)
        error: BaseException = trouble or rest or group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, LedgerTroubleError):
            self._lose_ledger(error.error)
            return error.error
        return error
