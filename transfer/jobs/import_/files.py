"""Opened frames to objects: small files in one request each, many at once; large ones in parts.

Frames come in order, with what was decided of each entry (`planning`); what they turn into goes out beside
each other, bounded by requests and by the budget of bytes. An entry fails alone: its reason is noted, all
others go on. Requests run in the task group of the caller; what they raise beyond an entry's own failure ends
the job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from transfer.core.records import Begin, Chunk, DeleteMarker, Entry, File, Void
from transfer.errors import AccessError, PreconditionError, StoreError, TransferError
from transfer.jobs.import_.arbiter import Arbiter, Judgement, Verdict, is_same
from transfer.jobs.import_.budget import Budget
from transfer.jobs.import_.comparison import Comparison
from transfer.jobs.import_.health import EndpointHealth
from transfer.jobs.import_.journal import Journal
from transfer.jobs.import_.links import LinkStates
from transfer.jobs.import_.options import ImportOptions
from transfer.jobs.import_.outcome import Outcome, Subject
from transfer.jobs.import_.packs import OpenedFrame
from transfer.jobs.import_.settling import Settlement
from transfer.jobs.import_.small import SmallSender
from transfer.jobs.import_.steps import GroupWork, LargeFile, MarkerStep, Sending, SmallStep, stand_in_of
from transfer.jobs.import_.turns import Turns
from transfer.jobs.import_.upload import Upload, sums_of
from transfer.stores.contract import ObjectInfo, Store

PARK_TIMEOUT_S = 30.0


class FileSender:
    """Sends the files of one run after the other.

    Args:
        store: where to.
        chunk_size_bytes: of the device.
        options: of the import.
        exclusive: objects are written with the precondition that there is none.
        budget: that frames hold bytes of; raised where two parts of an object are more than all of it.
        arbiter: decides where there is an object already.
        journal: records uploads.
        outcome: told what became of each file.
        links: told what became of files that hard links may name.
        turns: of versions.
        health: watches the calls to the store.
        tasks: where requests run.
    """

    def __init__(
        self,
        *,
        store: Store,
        chunk_size_bytes: int,
        options: ImportOptions,
        exclusive: bool,
        budget: Budget,
        arbiter: Arbiter,
        journal: Journal,
        outcome: Outcome,
        links: LinkStates,
        turns: Turns,
        health: EndpointHealth,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._store = store
        self._chunk_size_bytes = chunk_size_bytes
        self._exclusive = exclusive
        self._budget = budget
        self._arbiter = arbiter
        self._journal = journal
        self._outcome = outcome
        self._health = health
        self._tasks = tasks
        self._turns = turns
        self._settlement = Settlement(outcome, links)
        self._small = SmallSender(
            store=store,
            requests=options.requests,
            exclusive=exclusive,
            arbiter=arbiter,
            outcome=outcome,
            settlement=self._settlement,
            turns=turns,
            health=health,
            tasks=tasks,
        )
        self._uploads: set[Upload] = set()
        self._large: LargeFile | None = None
        self._upload: Upload | None = None
        self._comparison: Comparison | None = None
        self._lost_path = b""

    async def start_run(self) -> None:
        """A run begins."""
        await self.lose_large("the copy was interrupted inside it, and did not go on")
        self._lost_path = b""
        await self._turns.all_ended()  # what it brings of a key comes behind what is under way

    async def take(self, opened: OpenedFrame[GroupWork]) -> None:
        """Turn the content of a frame into requests; returns when all of them are under way."""
        try:
            for record, step in zip(opened.group.records, opened.work.steps, strict=True):
                await self._one(record, step, opened)
        finally:
            opened.hold.let_go()

    async def _one(self, record: Entry, step: object, opened: OpenedFrame[GroupWork]) -> None:
        match record, step:
            case File(), SmallStep():
                await self._small.send(step, opened)
            case DeleteMarker(), MarkerStep():
                await self._small.mark(step)
            case Begin(), LargeFile():
                self._begin(step)
            case Chunk(), _:
                self._chunk(record, opened)
            case File(), _:
                await self._close(record, step if isinstance(step, LargeFile) else None)
            case Void(), _:
                self._give_up()

    def _begin(self, large: LargeFile) -> None:
        """A large file begins."""
        self._large, self._upload, self._comparison = large, None, None
        self._lost_path = b""
        if large.plan is None:
            return
        if large.there is not None:
            self._comparison = Comparison(large.there.etag, large.plan, self._tasks)
            return
        self._budget.raise_to(2 * large.plan.part_size_bytes + self._chunk_size_bytes)
        if large.parked is not None:
            self._journal.take_parked(large.key, large.upload_spot)
        version = large.version
        self._upload = Upload(
            store=self._store,
            health=self._health,
            tasks=self._tasks,
            journal=self._journal,
            large=large,
            plan=large.plan,
            exclusive=self._exclusive and (version is None or version.is_first),
            on_part=self._outcome.sent_part,
            turn=None if version is None else self._turns.next(large.key),
        )
        self._uploads.add(self._upload)

    def _chunk(self, record: Chunk, opened: OpenedFrame[GroupWork]) -> None:
        large, upload = self._large, self._upload
        damage = opened.damage or opened.defects.get(record.path_bytes, "")
        if large is None or large.plan is None:
            return
        if upload is None:
            self._compare_chunk(record, opened, damage)
        elif not large.needs(record):
            upload.pass_over(record)
            self._outcome.bytes_verified += record.size_bytes
        elif damage:
            upload.fail(f"chunk {record.index}: {damage}", damaged=True)
        else:
            self._outcome.bytes_verified += record.size_bytes
            upload.add(record, opened.content, opened.hold.share())

    def _compare_chunk(self, record: Chunk, opened: OpenedFrame[GroupWork], damage: str) -> None:
        if self._comparison is None:
            return
        if damage:
            self._comparison.fail(f"chunk {record.index}: {damage}")
        else:
            self._outcome.bytes_verified += record.size_bytes
            self._comparison.add(record, opened.content, opened.hold.share())

    async def _close(self, record: File, lost: LargeFile | None) -> None:
        large, upload, comparison = lost or self._large, self._upload, self._comparison
        self._large = self._upload = self._comparison = None
        if large is None or record.path_bytes == self._lost_path:
            return
        if large.place.path is None:
            self._settlement.leave_out(large.place)
            return
        stand_in = stand_in_of(large.path, large.place)
        sending = Sending(
            large.path, record, large.key, large.run, stand_in, large.record_spot, large.version
        )
        if upload is not None:
            self._end(upload, self._complete(sending, upload))
        elif large.there is not None:
            self._tasks.create_task(
                self._conclude_compared(sending, large.there, large.judgement, comparison)
            )
        else:
            await self._settlement.conclude(sending, large.judgement)

    async def _conclude_compared(
        self, sending: Sending, there: ObjectInfo, judgement: Judgement, comparison: Comparison | None
    ) -> None:
        """A large file ends that has an object of its key."""
        record = sending.record
        if comparison is not None and comparison.damage:
            await self._settlement.fell(sending, comparison.damage, integrity=True)
            return
        if comparison is not None:
            same: bool | None = await comparison.is_same()
        else:
            same = is_same(there, record.size_bytes, sums_of(record))
        weighed = self._arbiter.weigh(there, record.size_bytes, same, judgement.recorded)
        await self._settlement.conclude(sending, weighed)

    async def _complete(self, sending: Sending, upload: Upload) -> None:
        try:
            result = await upload.complete(sending.record)
        except PreconditionError:
            self._outcome.settled_parts(upload.sent_bytes)
            judgement = await self._lost_race(sending)
            if judgement.verdict is not Verdict.DONE:
                upload.hold_back(judgement.reason)
            await self._settlement.conclude(sending, judgement)
            await self._abort(upload)
        except TransferError as error:
            self._outcome.settled_parts(upload.sent_bytes)
            reason = upload.failure or upload.refusal(error)
            if not upload.is_damaged:
                upload.hold_back(reason)
            await self._settlement.fell(sending, reason, integrity=upload.is_damaged)
            await self._abort(upload)
        else:
            self._uploads.discard(upload)
            self._outcome.settled_parts(upload.sent_bytes)
            await self._settlement.done(sending, result)
            try:
                await upload.ended()
            except (AccessError, StoreError) as error:
                self._outcome.left_upload(upload.key, str(error))

    async def _lost_race(self, sending: Sending) -> Judgement:
        """Another writer was faster; what it wrote may be the same."""
        record = sending.record
        try:
            judgement = await self._arbiter.compare(
                sending.key, record.size_bytes, sums_of(record), raced=True
            )
        except TransferError as error:
            return Judgement(Verdict.REFUSE, reason=str(error))
        if judgement.verdict is Verdict.SEND:
            return Judgement(Verdict.REFUSE, reason="another writer came between; give the command again")
        return judgement

    def _give_up(self) -> None:
        """A void record: the attempt did not count, another may follow."""
        upload = self._upload
        self._large = self._upload = self._comparison = None
        if upload is not None:
            self._end(upload, self._abort(upload))

    def _end(self, upload: Upload, work: Coroutine[Any, Any, None]) -> None:
        """The last that is done about an upload; then it is the next version's turn."""
        task = self._tasks.create_task(work)
        task.add_done_callback(lambda _: upload.end_turn())

    async def lose_large(self, reason: str, *, damaged: bool = False) -> None:
        """The large file at hand, if there is one, goes no further."""
        large, upload = self._large, self._upload
        self._large = self._upload = self._comparison = None
        if large is None:
            return
        self._lost_path = large.path
        if large.place.path is not None:
            why = large.judgement.reason or reason
            subject = Subject(large.record_spot, large.path, large.key, large.size_bytes)
            await self._outcome.fell(subject, why, integrity=damaged)
        if upload is not None:
            upload.fail(reason, damaged=damaged)
            self._end(upload, self._abort(upload))

    async def _abort(self, upload: Upload) -> None:
        try:
            await upload.abort()
        except TransferError as error:
            self._outcome.left_upload(upload.key, str(error))
        self._uploads.discard(upload)

    async def park(self) -> None:
        """Leave the uploads that were not completed at the store, for a job that ends early.

        Waits until it is recorded which they are; bounded in time, as the endpoint may be the reason for the
        end. What is not known by then is found by its key when the job goes on.
        """
        opening = [task for upload in self._uploads if (task := upload.opening) is not None]
        if opening:
            _, late = await asyncio.wait(opening, timeout=PARK_TIMEOUT_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*opening, return_exceptions=True)
        self._outcome.uploads_parked += sum(upload.is_open for upload in self._uploads)
