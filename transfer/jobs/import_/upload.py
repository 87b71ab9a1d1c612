"""One large object on its way into the bucket: chunks come in order, parts go out beside each other.

The object is completed only when every chunk of it was verified, and their sums combine to that of the file.
The sums that travel with each part are those of the first read at the source, combined from the chunks' (CRC
arithmetic, nothing is computed anew): the store checks the very CRC that was taken there. Whatever goes wrong
fails the object, and `abort` frees its parts at the store.

Bytes are given back to the budget when the part that they went into is settled, also when it never began.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from transfer.core.parts import PartPlan
from transfer.core.records import Chunk, File
from transfer.core.stream_rules import hex_number
from transfer.errors import StoreUnreachableError, TransferError
from transfer.jobs.import_.budget import Hold
from transfer.jobs.import_.entries import Target
from transfer.jobs.import_.health import EndpointHealth
from transfer.stores.checksums import EMPTY, combine
from transfer.stores.contract import Buffers, Checksums, Part, PutResult, Store


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
        target: its key and metadata.
        plan: how it is cut.
        on_part: told of the key and size of each part that arrived.
    """

    def __init__(
        self,
        *,
        store: Store,
        health: EndpointHealth,
        tasks: asyncio.TaskGroup,
        target: Target,
        plan: PartPlan,
        on_part: Callable[[str, int], None],
    ) -> None:
        self.key = target.key
        self.failure = ""
        self.sent_bytes = 0
        self.is_damaged = False
        self._store = store
        self._health = health
        self._tasks = tasks
        self._metadata = target.metadata
        self._plan = plan
        self._on_part = on_part
        self._filling = _Filling()
        self._bytes = 0
        self._sums = EMPTY
        self._upload_id: asyncio.Task[str] | None = None
        self._parts: list[asyncio.Task[Part | None]] = []

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
        if self._filling.bytes:
            self._send()
        parts = [part for task in self._parts if (part := await task) is not None]
        self._refuse_if_failed()
        if self._upload_id is None:
            raise AssertionError("an object in parts without a part")
        call = self._store.complete_upload(self.key, await self._upload_id, parts, checksums=sums_of(record))
        return await self._health.watch(call)

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
        elif isinstance(error, StoreUnreachableError):
            raise error  # it may have begun all the same, and nobody knows its id

    async def _put(self, record: File) -> PutResult:
        """In one request."""
        filling, self._filling = self._filling, _Filling()
        try:
            sums = sums_of(record)
            call = self._store.put(self.key, filling.body, checksums=sums, metadata=self._metadata)
            return await self._health.watch(call)
        finally:
            filling.let_go()

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
            create = self._store.create_upload(self.key, metadata=self._metadata)
            self._upload_id = asyncio.ensure_future(self._health.watch(create))
        task = self._tasks.create_task(self._put_part(self._upload_id, len(self._parts) + 1, filling))
        task.add_done_callback(filling.let_go)
        self._parts.append(task)

    async def _put_part(self, upload_id: asyncio.Task[str], number: int, filling: _Filling) -> Part | None:
        try:
            id_ = await asyncio.shield(upload_id)
            if self.failure:
                return None
            body: Buffers = filling.body
            call = self._store.put_part(self.key, id_, number, body, checksums=combine(filling.sums))
            part = await self._health.watch(call)
        except TransferError as error:
            self.fail(str(error))
            return None
        self.sent_bytes += part.size_bytes
        self._on_part(self.key, part.size_bytes)
        return part


def sums_of(record: Chunk | File) -> Checksums:
    """The CRCs of a record."""
    return Checksums(hex_number(record.crc64nvme), hex_number(record.crc32c))
