"""What goes in one request each, many beside each other: small files and objects, and delete markers.

The versions of one key go one after the other (`turns`), all else in any order.
"""

from __future__ import annotations

import asyncio

from transfer.errors import PreconditionError, TransferError
from transfer.jobs.import_.arbiter import Arbiter, Judgement, Verdict
from transfer.jobs.import_.budget import Hold
from transfer.jobs.import_.health import EndpointHealth
from transfer.jobs.import_.objects import refusal
from transfer.jobs.import_.outcome import Outcome, Subject
from transfer.jobs.import_.packs import OpenedFrame
from transfer.jobs.import_.settling import Settlement
from transfer.jobs.import_.steps import GroupWork, MarkerStep, SmallStep
from transfer.jobs.import_.turns import Turn, Turns
from transfer.jobs.import_.upload import sums_of
from transfer.stores.contract import PutResult, Store

_NO_MARKER = (
    "the store's answer tells of no delete marker that it made; "
    "some stores make none of a key that is not there"
)
_RACES = 3  # that are lost to other writers, one after the other


class SmallSender:
    """Sends what needs one request.

    Args:
        store: where to.
        requests: how many may be under way.
        exclusive: objects are written with the precondition that there is none.
        arbiter: decides where there is an object already.
        outcome: told what became of each delete marker.
        settlement: told what became of each file.
        turns: of versions.
        health: watches the calls to the store.
        tasks: where requests run.
    """

    def __init__(
        self,
        *,
        store: Store,
        requests: int,
        exclusive: bool,
        arbiter: Arbiter,
        outcome: Outcome,
        settlement: Settlement,
        turns: Turns,
        health: EndpointHealth,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._store = store
        self._exclusive = exclusive
        self._arbiter = arbiter
        self._outcome = outcome
        self._settlement = settlement
        self._turns = turns
        self._health = health
        self._tasks = tasks
        self._requests = asyncio.Semaphore(requests)

    async def send(self, step: SmallStep, opened: OpenedFrame[GroupWork]) -> None:
        """Begin with a file; returns when its request is under way, or will be in its turn."""
        sending, judgement = step.sending, step.judgement
        record = sending.record
        if step.place.path is None:
            self._settlement.leave_out(step.place)
            return
        if judgement.verdict not in (Verdict.SEND, Verdict.COMPARE):
            await self._settlement.conclude(sending, judgement)
            return
        damage = opened.damage or opened.defects.get(sending.path, "")
        if damage:
            await self._settlement.fell(sending, damage, integrity=True)
            return
        self._outcome.bytes_verified += record.size_bytes
        offset = record.offset or 0
        body = memoryview(opened.content)[offset : offset + record.size_bytes]
        await self._requests.acquire()
        hold = opened.hold.share()
        if sending.version is None:
            task = self._tasks.create_task(self._deliver(step, body))
        else:
            turn = self._turns.next(sending.key)
            task = self._tasks.create_task(self._deliver_version(step, body, turn))
            task.add_done_callback(lambda _: turn.end())
        task.add_done_callback(lambda _: self._settled(hold))

    def _settled(self, hold: Hold) -> None:
        """A file's request ended, however: also one that never began."""
        self._requests.release()
        hold.let_go()

    async def _deliver(self, step: SmallStep, body: memoryview) -> None:
        """One file, to its end."""
        sending, judgement = step.sending, step.judgement
        try:
            if judgement.verdict is Verdict.COMPARE:
                judgement = await self._compare(step, body)
            for _ in range(_RACES):
                if judgement.verdict is not Verdict.SEND:
                    break
                try:
                    result = await self._put(step, body, exclusive=self._exclusive)
                except PreconditionError:
                    judgement = await self._compare(step, body, raced=True)
                else:
                    await self._settlement.done(sending, result)
                    return
        except TransferError as error:
            await self._settlement.fell(sending, refusal(error, step.metadata))
        else:
            await self._settlement.conclude(sending, judgement)

    async def _deliver_version(self, step: SmallStep, body: memoryview, turn: Turn) -> None:
        """One version, to its end. Newer ones wait for what comes of it."""
        sending = step.sending
        is_first = sending.version is not None and sending.version.is_first
        try:
            await turn.wait()
            result = await self._put(step, body, exclusive=self._exclusive and is_first)
        except PreconditionError:
            await self._lost_race(step, body, turn)
        except TransferError as error:
            reason = refusal(error, step.metadata)
            turn.hold_back(reason)
            await self._settlement.fell(sending, reason)
        else:
            await self._settlement.done(sending, result)

    async def _lost_race(self, step: SmallStep, body: memoryview, turn: Turn) -> None:
        """Something was there; it may be what our own request put there, whose answer was lost."""
        try:
            judgement = await self._compare(step, body, raced=True)
        except TransferError as error:
            judgement = Judgement(Verdict.REFUSE, reason=str(error))
        if judgement.verdict is not Verdict.DONE:
            turn.hold_back(judgement.reason or "another writer came between")
        await self._settlement.conclude(step.sending, judgement)

    async def _compare(self, step: SmallStep, body: memoryview, *, raced: bool = False) -> Judgement:
        record = step.sending.record
        return await self._arbiter.compare(
            step.sending.key,
            record.size_bytes,
            sums_of(record),
            body=body,
            recorded=step.judgement.recorded,
            raced=raced,
        )

    async def _put(self, step: SmallStep, body: memoryview, *, exclusive: bool) -> PutResult:
        call = self._store.put(
            step.sending.key,
            [body],
            checksums=sums_of(step.sending.record),
            metadata=step.metadata,
            if_none_match=exclusive,
        )
        return await self._health.watch(call)

    async def mark(self, step: MarkerStep) -> None:
        """Begin with a delete marker."""
        subject = Subject(step.spot, step.path, step.key, 0)
        if step.judgement is None:
            self._outcome.versions_left_out += not step.is_newest
            self._outcome.deleted_left_out += step.is_newest
            return
        match step.judgement.verdict:
            case Verdict.SEND:
                await self._requests.acquire()
                turn = self._turns.next(step.key)
                task = self._tasks.create_task(self._delete(subject, turn))
                task.add_done_callback(lambda _: turn.end())
                task.add_done_callback(lambda _: self._requests.release())
            case Verdict.DONE:
                await self._outcome.marked(subject, step.judgement.version_id)
            case Verdict.SKIP:
                await self._outcome.skip(subject, step.judgement.reason)
            case _:
                await self._outcome.fell(subject, step.judgement.reason)

    async def _delete(self, subject: Subject, turn: Turn) -> None:
        try:
            await turn.wait()
            marker = await self._health.watch(self._store.delete(subject.key))
        except TransferError as error:
            turn.hold_back(str(error))
            await self._outcome.fell(subject, str(error))
            return
        if marker is None:  # newer versions go all the same: rather a marker is missing than their content
            await self._outcome.fell(subject, _NO_MARKER)
        else:
            await self._outcome.marked(subject, marker)
