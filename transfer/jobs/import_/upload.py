"""One large object on its way into the bucket: chunks come in order, parts go out beside each other, completed only when all is verified.

The sums that travel with each part are those of the first read at the source, combined from the chunks' (awscrt's CRC arithmetic): the store checks the
same CRC that was taken there. A chunk that is lost or wrong fails the object; its upload is aborted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from transfer.core.parts import PartPlan, plan_parts
from transfer.core.records import Begin, Chunk, File
from transfer.core.s3_limits import S3Limits
from transfer.core.stream_rules import hex_number
from transfer.core.object_metadata import ObjectMetadata
from transfer.errors import NotFoundError, TransferError
from transfer.jobs.import_.budget import Budget
from transfer.stores.checksums import combine
from transfer.stores.contract import Checksums, Part, PutResult, Store


@dataclass
class _Filling:
    """The part that is being filled."""

    body: list[bytes | memoryview] = field(default_factory=list)
    sums: list[tuple[Checksums, int]] = field(default_factory=list)
    bytes: int = 0


class Upload:
    """One large object.

    Args:
        store: where to.
        key: of the object.
        begin: its begin record.
        metadata: of the object.
        chunk_size_bytes: of the device.
        limits: of the endpoint.
        budget: that the chunks' bytes were taken from.

    Raises:
        UsageError: the store cannot hold an object of this size.
    """

    def __init__(
        self, store: Store, key: str, begin: Begin, metadata: ObjectMetadata, chunk_size_bytes: int, limits: S3Limits, budget: Budget
    ) -> None:
        self.key = key
        self.size_bytes = begin.size_bytes
        self.failure = ""
        self.is_damaged = False
        self._store = store
        self._metadata = metadata
        self._budget = budget
        self._plan: PartPlan = plan_parts(begin.size_bytes, chunk_size_bytes, limits)
        budget.raise_to(2 * self._plan.part_size_bytes + chunk_size_bytes)
        self._filling = _Filling()
        self._upload_id: asyncio.Task[str] | None = None
        self._parts: list[asyncio.Task[Part]] = []

    def add(self, chunk: Chunk, content: bytes, held_bytes: int) -> None:
        """Take the next chunk, verified; its bytes go back to the budget when they are sent."""
        if self.failure:
            self._budget.give_back(held_bytes)
            return
        filling = self._filling
        filling.body.append(content)
        filling.sums.append((sums_of(chunk), chunk.size_bytes))
        filling.bytes += chunk.size_bytes
        if not self._plan.single_put and filling.bytes >= self._plan.part_size_bytes:
            self._send()

    def fail(self, reason: str, *, damaged: bool = False) -> None:
        """The object cannot be completed any more."""
        if not self.failure:
            self.failure, self.is_damaged = reason, damaged
        self._drop_filling()

    def _drop_filling(self) -> None:
        self._budget.give_back(self._filling.bytes)
        self._filling = _Filling()

    def _send(self) -> None:
        """Send the part that is full."""
        filling, self._filling = self._filling, _Filling()
        if self._upload_id is None:
            self._upload_id = asyncio.create_task(self._store.create_upload(self.key, metadata=self._metadata))
        number = len(self._parts) + 1
        self._parts.append(asyncio.create_task(self._put_part(self._upload_id, number, filling)))

    async def _put_part(self, upload_id: asyncio.Task[str], number: int, filling: _Filling) -> Part:
        try:
            sums = combine(filling.sums)
            return await self._store.put_part(self.key, await upload_id, number, filling.body, checksums=sums)
        except TransferError as error:
            self.fail(str(error))
            raise
        finally:
            self._budget.give_back(filling.bytes)
            filling.body.clear()

    async def complete(self, record: File, on_done: Callable[[PutResult], None]) -> None:
        """The closing record has come: send what is left, and complete.

        Raises:
            TransferError: the object could not be written; its upload is aborted.
        """
        try:
            if self.failure:
                raise TransferError(self.failure)
            on_done(await self._finish(record))
        except TransferError:
            await self.abort()
            raise

    async def _finish(self, record: File) -> PutResult:
        checksums = Checksums(hex_number(record.crc64nvme), hex_number(record.crc32c))
        if self._plan.single_put:
            filling, self._filling = self._filling, _Filling()
            try:
                return await self._store.put(self.key, filling.body, checksums=checksums, metadata=self._metadata)
            finally:
                self._budget.give_back(filling.bytes)
        if self._filling.bytes:
            self._send()
        parts = await _all(self._parts)
        if self._upload_id is None:
            raise AssertionError("an upload in parts without a part")
        return await self._store.complete_upload(self.key, await self._upload_id, parts, checksums=checksums)

    async def abort(self) -> None:
        """Give the upload up: wait for what is under way, free the parts at the store."""
        self._drop_filling()
        for part in self._parts:
            part.cancel()
        await asyncio.gather(*self._parts, return_exceptions=True)
        if self._upload_id is None:
            return
        with contextlib.suppress(NotFoundError):
            results = await asyncio.gather(self._upload_id, return_exceptions=True)
            if isinstance(results[0], str):
                await self._store.abort_upload(self.key, results[0])


def sums_of(record: Chunk | File) -> Checksums:
    """The CRCs of a record."""
    return Checksums(hex_number(record.crc64nvme), hex_number(record.crc32c))


async def _all(tasks: list[asyncio.Task[Part]]) -> list[Part]:
    """All parts; the first error, after none is under way any more."""
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if isinstance(result, Part)]
