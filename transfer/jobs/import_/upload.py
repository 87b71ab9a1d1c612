"""One large object on its way into the bucket: chunks come in order, parts go out beside each other.

The object is completed only when every chunk of it was verified, and their sums combine to that of the file.
The sums that travel with each part are those of the first read at the source, combined from the chunks' (CRC
arithmetic, nothing is computed anew): the store checks the very CRC that was taken there. Whatever goes wrong
fails the object, and `abort` frees its parts at the store.

The ledger hears of the upload before the store does, of its id before the first part is sent, and of each
part that arrived. So an upload that an earlier attempt left open goes on: parts that are there are passed
over.

Bytes are given back to the budget when the part that they went into is settled, also when it never began.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from msgspec.structs import replace

from transfer.core.parts import PartPlan
from transfer.core.records import Chunk, File
from transfer.core.retry import is_transient
from transfer.core.stream_rules import hex_number
from transfer.errors import TransferError
from transfer.jobs.import_.budget import Hold
from transfer.jobs.import_.health import EndpointHealth
from transfer.jobs.import_.journal import Journal
from transfer.jobs.import_.objects import refusal
from transfer.jobs.import_.registration import abort_unnamed
from transfer.jobs.import_.steps import LargeFile
from transfer.jobs.import_.turns import Turn
from transfer.stores.checksums import EMPTY, combine
from transfer.stores.contract import Buffers, Checksums, Part, PutResult, Store

T = TypeVar("T")


@dataclass
class _Filling:
    """The part that is being filled."""

    body: list[bytes] = field(default_factory=list)
    sums: list[tuple[Checksums, int]] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    bytes: int = 0

    def let_go(self, _task: object = None) -> None:
        """Forget the content; also called back by the task of the part."""
        holds, self.holds, self.body = self.holds, [], []
        for hold in holds:
            hold.let_go()


class Upload:
    """One large object.

    Args:
        store: where to.
        health: watches the calls.
        tasks: the parts' requests run in it.
        journal: records it.
        large: the file, and the upload of it that goes on, where there is one.
        plan: how it is cut.
        exclusive: only where there is no object of this key yet.
        on_part: told of the key and size of each part that arrived.
        turn: that of this version, where it is one of several of its key: nothing of it is begun or ended at
            the store before.
    """

    def __init__(
        self,
        *,
        store: Store,
        health: EndpointHealth,
        tasks: asyncio.TaskGroup,
        journal: Journal,
        large: LargeFile,
        plan: PartPlan,
        exclusive: bool,
        on_part: Callable[[str, int], None],
        turn: Turn | None = None,
    ) -> None:
        self.key = large.key
        self.failure = ""
        self.sent_bytes = 0
        self.is_damaged = False
        self._store = store
        self._health = health
        self._tasks = tasks
        self._journal = journal
        self._large = large
        self._plan = plan
        self._exclusive = exclusive
        self._on_part = on_part
        self._turn = turn
        self._filling = _Filling()
        self._bytes = 0
        self._sums = EMPTY
        self._number, self._begun = 0, ""  # in the ledger
        self._may_have_twin = False
        self._upload_id: asyncio.Future[str] | None = None
        self._parts: list[asyncio.Future[Part | None]] = []
        self._sent = large.parked.parts if large.parked is not None else {}
        if large.parked is not None:
            self._number = large.parked.upload.number
            self._upload_id = _known(large.parked.upload.upload_id)

    @property
    def opening(self) -> asyncio.Future[str] | None:
        """The task that asks the store for the upload, where it was begun."""
        return self._upload_id

    @property
    def is_open(self) -> bool:
        """Whether the store has it, and the ledger knows."""
        task = self._upload_id
        return task is not None and task.done() and not task.cancelled() and task.exception() is None

    def add(self, chunk: Chunk, content: bytes, hold: Hold) -> None:
        """Take the next chunk, verified. Its share of `hold` is let go of when the chunk is settled."""
        if self.failure:
            hold.let_go()
            return
        filling = self._filling
        filling.body.append(content)
        filling.sums.append((sums_of(chunk), chunk.size_bytes))
        filling.holds.append(hold)
        filling.bytes += chunk.size_bytes
        self._bytes += chunk.size_bytes
        self._sums = combine([(self._sums, self._bytes), filling.sums[-1]])
        if not self._plan.single_put and filling.bytes >= self._plan.part_size_bytes:
            self._send()

    def pass_over(self, chunk: Chunk) -> None:
        """The next chunk is in a part that the store has."""
        if self.failure:
            return
        filling = self._filling
        filling.sums.append((sums_of(chunk), chunk.size_bytes))
        filling.bytes += chunk.size_bytes
        self._bytes += chunk.size_bytes
        self._sums = combine([(self._sums, self._bytes), filling.sums[-1]])
        if filling.bytes >= self._plan.part_size_bytes or self._bytes == self._plan.size_bytes:
            self._keep_part()

    def _keep_part(self) -> None:
        """A part that an earlier attempt sent counts, if it is of the very bytes that the manifest has."""
        filling, self._filling = self._filling, _Filling()
        number = len(self._parts) + 1
        part = self._sent[number]
        if (part.size_bytes, part.checksums) != (filling.bytes, combine(filling.sums)):
            self.fail(
                f"part {number}, which an earlier attempt sent, is not of this file; give the command again"
            )
            return
        self._parts.append(_known(part))
        self.sent_bytes += part.size_bytes
        self._on_part(self.key, part.size_bytes)

    def fail(self, reason: str, *, damaged: bool = False) -> None:
        """The object cannot be completed any more. The first reason stays."""
        if not self.failure:
            self.failure, self.is_damaged = reason, damaged
        filling, self._filling = self._filling, _Filling()
        filling.let_go()

    async def complete(self, record: File) -> PutResult:
        """The closing record has come: send what is left, and make it one object.

        Raises:
            TransferError: the object could not be written; it is to be aborted.
        """
        self._check_sums(record)
        if self._plan.single_put:
            return await self._put(record)
        await self._wait()
        if self._filling.bytes:
            self._send()
        parts = [part for task in self._parts if (part := await task) is not None]
        self._refuse_if_failed()
        if self._upload_id is None:
            raise AssertionError("an object in parts without a part")
        await self._journal.ledger.recorder.flush()  # so that what was completed is known by its parts
        call = self._store.complete_upload(
            self.key,
            await self._upload_id,
            parts,
            checksums=sums_of(record),
            if_none_match=self._exclusive,
        )
        result = await self._health.watch(call)
        return replace(result, etag=await self._shown_etag(result.etag))

    async def _shown_etag(self, answered: str) -> str:
        """The ETag that listings will show: some stores answer a completion with another one."""
        try:
            return (await self._store.head(self.key)).etag
        except TransferError:  # the object is there; under which ETag can be found out later
            return answered

    async def ended(self) -> None:
        """It was completed, which its object's record says already: leave nothing of it behind.

        Raises:
            TransferError: another upload may be left, which a lost answer hid.
        """
        try:
            if self._may_have_twin:
                await self._abort_unnamed()
        finally:
            await self._end()

    async def _abort_unnamed(self) -> None:
        journal = self._journal
        await abort_unnamed(journal.ledger, self._store, journal.job, self.key, self._begun)

    async def _end(self) -> None:
        if self._number:
            await self._journal.ledger.recorder.end_upload(self._number)

    async def abort(self) -> None:
        """Give the object up: let what is under way end, then free the parts at the store.

        Raises:
            TransferError: the store did not do it: an upload may be left behind.
        """
        self.fail("given up")
        if self._parts:
            await asyncio.wait(self._parts)
        if self._upload_id is None:
            return
        await asyncio.wait([self._upload_id])
        error = self._upload_id.exception()
        if error is None:
            await self._store.abort_upload(self.key, self._upload_id.result())
        # One may have begun all the same, whose id nobody knows.
        if self._may_have_twin or (isinstance(error, TransferError) and is_transient(error)):
            await self._abort_unnamed()
        await self._end()

    async def _put(self, record: File) -> PutResult:
        """In one request."""
        filling, self._filling = self._filling, _Filling()
        try:
            await self._wait()
            sums = sums_of(record)
            call = self._store.put(
                self.key,
                filling.body,
                checksums=sums,
                metadata=self._large.metadata,
                if_none_match=self._exclusive,
            )
            return await self._health.watch(call)
        finally:
            filling.let_go()

    def hold_back(self, reason: str) -> None:
        """The object could not be written: newer versions of its key must not be either."""
        if self._turn is not None:
            self._turn.hold_back(reason)

    def end_turn(self) -> None:
        """Nothing more will be done about it."""
        if self._turn is not None:
            self._turn.end()

    def refusal(self, error: TransferError) -> str:
        """Why the store did not take it."""
        return refusal(error, self._large.metadata)

    async def _wait(self) -> None:
        if self._turn is not None:
            await self._turn.wait()

    def _check_sums(self, record: File) -> None:
        """What was taken is what the closing record says: no chunk is missing, none is another file's."""
        if (self._sums, self._bytes) != (sums_of(record), record.size_bytes):
            self.fail("its chunks do not add up to it", damaged=True)  # unless it failed before
        self._refuse_if_failed()

    def _refuse_if_failed(self) -> None:
        if self.failure:
            raise TransferError(self.failure)

    def _send(self) -> None:
        """Send the part that is full."""
        filling, self._filling = self._filling, _Filling()
        if self._upload_id is None:
            # Not in the group: cancelled in the middle, it could leave an upload whose id nobody knows.
            self._upload_id = asyncio.ensure_future(self._open())
        task = self._tasks.create_task(self._put_part(self._upload_id, len(self._parts) + 1, filling))
        task.add_done_callback(filling.let_go)
        self._parts.append(task)

    async def _open(self) -> str:
        """Ask the store for the upload; the ledger knows before and after."""
        await self._wait()
        recorder = self._journal.ledger.recorder
        sequence, position = self._large.spot
        begun = await recorder.begin_upload(
            self._journal.job,
            self.key,
            sequence=sequence,
            position=-1 if self._turn is None else position,
            size_bytes=self._plan.size_bytes,
            part_size_bytes=self._plan.part_size_bytes,
        )
        self._number, self._begun = begun.number, begun.begun
        create = self._store.create_upload(self.key, metadata=self._large.metadata)
        upload = await self._health.watch(create)
        self._may_have_twin = upload.may_have_twin
        await recorder.name_upload(begun.number, upload.upload_id)
        return upload.upload_id

    async def _put_part(self, upload_id: asyncio.Future[str], number: int, filling: _Filling) -> Part | None:
        try:
            id_ = await asyncio.shield(upload_id)
            if self.failure:
                return None
            body: Buffers = filling.body
            call = self._store.put_part(self.key, id_, number, body, checksums=combine(filling.sums))
            part = await self._health.watch(call)
            await self._journal.ledger.recorder.part(self._number, part)
        except TransferError as error:
            self.fail(self.refusal(error))
            return None
        self.sent_bytes += part.size_bytes
        self._on_part(self.key, part.size_bytes)
        return part


def _known(value: T) -> asyncio.Future[T]:
    """A result that is there already."""
    future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    future.set_result(value)
    return future


def sums_of(record: Chunk | File) -> Checksums:
    """The CRCs of a record."""
    return Checksums(hex_number(record.crc64nvme), hex_number(record.crc32c))
