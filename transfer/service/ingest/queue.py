"""The imports of the dock: which run, which wait for their turn, which rest until a store or device is back.

- At most `Plan.imports` run at once; others begin in the order of their arrival.
- An error that waiting may mend makes a job rest, for ever if need be; any other ends it as `failed`. One
  that nobody foresaw fails its job alone.
- A job that is paused, or has ended, is not begun. Whoever wants it to run changes the ledger, then calls
  `refresh`.
- Cancelling `run` parks all that run.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from logging import Logger

from transfer.core.moments import moment_text
from transfer.core.retry import is_transient
from transfer.errors import DeviceError, LedgerError, TransferError
from transfer.ledger.phases import Phase
from transfer.ledger.values import Job
from transfer.service.ingest.ledger_trouble import LedgerTroubleError, ledger_trouble
from transfer.service.ingest.patience import Patience
from transfer.service.ingest.running import Means, Run

UNDER_WAY = (Phase.RECEIVED, Phase.VERIFYING, Phase.IMPORTING)


@dataclass(slots=True)
class Rest:
    """A job rests until its timer ends."""

    reason: str
    until: str
    timer: asyncio.TimerHandle


@dataclass(slots=True, eq=False)
class Work:
    """A job whose device is in the dock.

    Attributes:
        root: of the device.
        folder: its name in the dock, for people.
        failures: runs in a row that ended in an error without having brought anything over.
        run, task: while it is under way.
        is_here: its device is there; else a run of it has still to end.
        is_next: it is to run again when the run that ends has ended.
    """

    job: Job
    root: str
    folder: str
    failures: int = 0
    run: Run | None = None
    task: asyncio.Task[None] | None = None
    rest: Rest | None = None
    is_here: bool = True
    is_next: bool = False

    @property
    def facts(self) -> dict[str, str]:
        """For the log."""
        return {"job_id": self.job.job_id, "device_id": self.job.identity.device_id}


class ImportQueue:
    """The imports.

    Args:
        means: what a run needs.
        patience: how long jobs rest.
        log: told what happens.
        now: the time of the host, for people.
        on_change: told the id of a job of which there is something new to show.
        suspect: told the folder of a device that failed, as the disk names it.
    """

    def __init__(
        self,
        *,
        means: Means,
        patience: Patience,
        log: Logger,
        now: Callable[[], datetime],
        on_change: Callable[[str], None],
        suspect: Callable[[str], None],
    ) -> None:
        self._means = means
        self._patience = patience
        self._log = log
        self._now = now
        self._on_change = on_change
        self._suspect = suspect
        self._works: dict[str, Work] = {}
        self._queued: dict[str, None] = {}
        self._running = 0
        self._wake = asyncio.Event()

    @property
    def works(self) -> list[Work]:
        """All whose devices are in the dock."""
        return [work for work in self._works.values() if work.is_here]

    @property
    def running(self) -> int:
        """How many run."""
        return self._running

    @property
    def queued(self) -> int:
        """How many wait for their turn."""
        return len(self._queued)

    def find(self, job_id: str) -> Work | None:
        """A job, where its device is in the dock."""
        work = self._works.get(job_id)
        return work if work is not None and work.is_here else None

    async def run(self) -> None:
        """Carry out imports until cancelled.

        Raises:
            BaseExceptionGroup: of a LedgerTroubleError.
        """
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._queued and self._running < self._means.plan.imports:
                    job_id = next(iter(self._queued))
                    del self._queued[job_id]
                    self._start(tasks, self._works[job_id])

    def offer(self, job: Job, root: str, folder: str) -> None:
        """The device of a job is in the dock. What rests, rests on, where it is the same folder still."""
        work = self._works.get(job.job_id)
        if work is None:
            work = self._works[job.job_id] = Work(job, root, folder)
        elif work.is_here and work.root == root and work.rest is not None:
            return
        work.is_next = work.task is not None and not work.is_here
        work.root, work.folder, work.is_here = root, folder, True
        self.refresh(job)

    def withdraw(self, job_id: str) -> None:
        """The device of a job is not in the dock any more, or not to be trusted.

        Its run is parked, but not waited for: a device that went away may keep its reader for long.
        """
        self._queued.pop(job_id, None)
        work = self._works.get(job_id)
        if work is not None:
            _end_rest(work)
            work.is_here = work.is_next = False
            if work.task is None:
                del self._works[job_id]
            else:
                work.task.cancel()
        self._on_change(job_id)

    async def park(self, job_id: str) -> None:
        """Let a job rest, whatever it does; an import that runs is parked when this returns."""
        self._queued.pop(job_id, None)
        work = self._works.get(job_id)
        if work is None:
            return
        _end_rest(work)
        if work.task is not None:
            work.task.cancel()
            await asyncio.wait([work.task])

    def refresh(self, job: Job) -> None:
        """A job stands in the ledger as given: queue it where it is to run."""
        work = self._works.get(job.job_id)
        if work is None:
            return
        work.job = job
        _end_rest(work)
        self._enqueue(work)
        self._on_change(job.job_id)

    def waiting(self, job_id: str) -> str | None:
        """Why a job that is under way does not move; None where it does."""
        work = self.find(job_id)
        if work is None:
            return "its device is not in the dock"
        if work.rest is not None:
            return f"{work.rest.reason}; tried again at {work.rest.until}"
        if job_id in self._queued:
            return (
                f"it waits for its turn: {self._running} of {self._means.plan.imports} imports are under way"
            )
        return None

    def _enqueue(self, work: Work) -> None:
        if work.task is None and work.job.phase in UNDER_WAY and not work.job.paused:
            self._queued[work.job.job_id] = None
            self._wake.set()

    def _start(self, tasks: asyncio.TaskGroup, work: Work) -> None:
        self._running += 1
        work.run = Run(self._means, work.job, work.root, lambda: self._on_change(work.job.job_id))
        work.task = tasks.create_task(self._carry_out(work, work.run))
        # Not at the end of the task: one that is cancelled before its first step has none.
        work.task.add_done_callback(lambda task: self._ended(work))
        self._on_change(work.job.job_id)

    def _ended(self, work: Work) -> None:
        self._running -= 1
        work.run = work.task = None
        if not work.is_here:
            del self._works[work.job.job_id]
        elif work.is_next:
            work.is_next = False
            self._enqueue(work)
        self._wake.set()
        self._on_change(work.job.job_id)

    async def _carry_out(self, work: Work, run: Run) -> None:
        self._log.info("import begins", extra=work.facts)
        try:
            await run.carry_out()
        except LedgerError as error:
            raise LedgerTroubleError(error) from error
        except TransferError as error:
            await self._judge(work, run, error)
        except LedgerTroubleError:
            raise
        except Exception as error:
            self._log.exception("import failed for a reason that nobody foresaw", extra=work.facts)
            await self._fail(work, f"{type(error).__name__}: {error}; the log of the service says where")
        finally:
            await self._reload(work)
        if work.rest is None:
            self._log.info("import ended: %s", work.job.phase.value, extra=work.facts)

    async def _judge(self, work: Work, run: Run, error: TransferError) -> None:
        await self._reload(work)
        if work.job.phase not in UNDER_WAY:
            return
        if is_transient(error) or isinstance(error, DeviceError):
            work.failures = 1 if run.has_brought_something else work.failures + 1
            if work.is_here:
                self._rest(work, error)
        else:
            await self._fail(work, str(error))

    async def _fail(self, work: Work, reason: str) -> None:
        with ledger_trouble():
            await self._means.ledger.jobs.set_phase(work.job.number, Phase.FAILED, error=reason)

    async def _reload(self, work: Work) -> None:
        with ledger_trouble():
            job = await self._means.ledger.jobs.get(work.job.number)
        if job is not None:
            work.job = job

    def _rest(self, work: Work, error: TransferError) -> None:
        wait_s = self._patience.wait_s(work.failures, error)
        until = moment_text(self._now() + timedelta(seconds=wait_s))
        timer = asyncio.get_running_loop().call_later(wait_s, self._rested, work)
        work.rest = Rest(error.what, until, timer)
        self._log.warning("import waits until %s: %s", until, error.what, extra=work.facts)
        if isinstance(error, DeviceError):
            self._suspect(os.path.basename(work.root))

    def _rested(self, work: Work) -> None:
        work.rest = None
        self._enqueue(work)
        self._on_change(work.job.job_id)


def _end_rest(work: Work) -> None:
    if work.rest is not None:
        work.rest.timer.cancel()
        work.rest = None
