"""What a person may ask of a job, and how it is done.

Rules:

- What was asked for is in the ledger before anything else happens: it holds over a restart.
- Pausing parks a running import and keeps it so; resuming goes on there.
- Retrying takes up what failed, was quarantined or was cancelled. A device that failed the check before its
  first object is not checked again: whoever retries it wants what is good of it.
- Cancelling gives up the uploads at the store too. Where the store cannot be made to, the job is left paused.
"""

from __future__ import annotations

import asyncio

from transfer.errors import TransferError
from transfer.jobs.import_.registration import abandon
from transfer.ledger.phases import Phase
from transfer.ledger.values import Job
from transfer.service.ingest.destinations import address, is_store_of
from transfer.service.ingest.ledger_trouble import ledger_trouble
from transfer.service.ingest.queue import UNDER_WAY, ImportQueue
from transfer.service.ingest.running import Means
from transfer.service.refusals import NotNowError
from transfer.service.views import Action

_ABANDON_TIMEOUT_S = 30.0
_MAY_BE_RETRIED = (Phase.FAILED, Phase.QUARANTINED, Phase.CANCELLED)
_MAY_BE_CANCELLED = (*UNDER_WAY, Phase.FAILED, Phase.QUARANTINED)


def possible(job: Job) -> list[Action]:
    """What may be asked of a job as it stands."""
    actions: list[Action] = []
    if job.phase in UNDER_WAY:
        actions.append(Action.RESUME if job.paused else Action.PAUSE)
    if job.phase in _MAY_BE_RETRIED:
        actions.append(Action.RETRY)
    if job.phase in _MAY_BE_CANCELLED:
        actions.append(Action.CANCEL)
    return actions


def check_possible(job: Job, action: Action) -> None:
    """Raise NotNowError unless this may be asked of a job."""
    if action in possible(job):
        return
    stands = "paused" if job.paused and job.phase in UNDER_WAY else job.phase.value
    others = ", ".join(possible(job)) or "nothing"
    raise NotNowError(f"a job that is {stands} takes no {action}", remedy=f"possible is: {others}")


class Orders:
    """Carries out what is asked; one order of a job at a time, which the caller sees to."""

    def __init__(self, means: Means, queue: ImportQueue) -> None:
        self._means = means
        self._jobs = means.ledger.jobs
        self._queue = queue

    async def carry_out(self, job: Job, action: Action) -> None:
        """Do it.

        Raises:
            NotNowError: the job is in no state for it.
            LedgerTroubleError: the ledger failed.
        """
        check_possible(job, action)
        match action:
            case Action.PAUSE:
                await self._pause(job, action)
            case Action.RESUME:
                await self._set_paused(job, False)
            case Action.RETRY:
                await self._retry(job)
            case Action.CANCEL:
                await self._cancel(job)
        self._queue.refresh(await self._reloaded(job))

    async def _pause(self, job: Job, action: Action) -> None:
        """Park it for good; where it ended before it could be, that is said."""
        await self._set_paused(job, True)
        await self._queue.park(job.job_id)
        now = await self._reloaded(job)
        if now.phase not in UNDER_WAY:
            await self._set_paused(job, False)
            self._queue.refresh(await self._reloaded(job))
            check_possible(now, action)

    async def _retry(self, job: Job) -> None:
        if job.paused:
            await self._set_paused(job, False)
        for phase in self._way_back(job):
            with ledger_trouble():
                await self._jobs.set_phase(job.number, phase)

    def _way_back(self, job: Job) -> list[Phase]:
        """The phases by which it is taken up again; past `verifying` where the check is behind it."""
        if job.phase is Phase.CANCELLED:
            return [Phase.RECEIVED]
        if job.phase is Phase.QUARANTINED:
            return [Phase.RECEIVED, Phase.IMPORTING]
        has_begun = any((job.counters.objects, job.counters.failed, job.counters.skipped))
        return [Phase.IMPORTING if has_begun or not self._means.plan.verify_first else Phase.VERIFYING]

    async def _cancel(self, job: Job) -> None:
        if job.phase in UNDER_WAY:
            await self._pause(job, Action.CANCEL)
        with ledger_trouble():
            begun = await self._means.ledger.uploads.begun(job.number)
        if begun:
            await self._abandon(job)
        with ledger_trouble():
            await self._jobs.set_phase(job.number, Phase.CANCELLED)
        await self._set_paused(job, False)

    async def _abandon(self, job: Job) -> None:
        if not is_store_of(self._means.plan.options, job.identity):
            raise NotNowError(
                f"its uploads are in {address(job.identity)}, which is not this service's bucket",
                remedy="cancel it at a service of that bucket",
            )
        try:
            async with asyncio.timeout(_ABANDON_TIMEOUT_S):
                store = await self._means.open_store()
                try:
                    await abandon(self._means.ledger, store, job.number)
                finally:
                    await store.aclose()
        except (TransferError, TimeoutError) as error:
            with ledger_trouble():
                await self._means.ledger.recorder.flush()
            self._queue.refresh(await self._reloaded(job))
            reason = error.what if isinstance(error, TransferError) else "it does not answer"
            raise NotNowError(
                f"the store does not give up its uploads: {reason}",
                remedy="it rests for now; cancel it again when the store is back",
            ) from error

    async def _set_paused(self, job: Job, paused: bool) -> None:
        with ledger_trouble():
            await self._jobs.set_paused(job.number, paused)

    async def _reloaded(self, job: Job) -> Job:
        with ledger_trouble():
            return await self._jobs.get(job.number) or job
