"""Gathers what is to be recorded; one task writes it, batch after batch.

Guarantees:

- What was recorded before a `flush` began is durable when it returns. So is an upload when `begin_upload`
  or `name_upload` returns.
- Order is kept: of what was recorded, a prefix is there after a crash, cut between two batches.
- What it holds is bounded; whoever records faster than the database writes has to wait.
- A batch that cannot be written is the end: that error is raised by every call from then on. Nothing is
  tried again, since what follows must not be there without what came before.

A batch is written when it has `flush_rows` rows, when it is `flush_after_s` old, or when somebody waits for
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from transfer.ledger.buffer import Batch, PackChecked, RowKind, UploadBegun, UploadEnded, UploadNamed
from transfer.ledger.text import storable, storable_error
from transfer.ledger.values import MadeVersion, ObjectEntry, Upload
from transfer.stores.contract import Part

FLUSH_ROWS = 4096
FLUSH_AFTER_S = 0.25
_BATCHES_HELD = 4  # of FLUSH_ROWS, that may gather while one is being written


class Recorder:
    """Records; made in a running event loop.

    Args:
        write: makes a batch durable.
        now: the time, as documents write it.
        next_upload: the first number that no upload has.
        flush_rows: a batch of so many rows is written at once.
        flush_after_s: how long a row waits at most before it is written.
    """

    def __init__(
        self,
        write: Callable[[Batch], Awaitable[None]],
        now: Callable[[], str],
        *,
        next_upload: int,
        flush_rows: int = FLUSH_ROWS,
        flush_after_s: float = FLUSH_AFTER_S,
    ) -> None:
        self._write = write
        self._now = now
        self._next_upload = next_upload
        self._flush_rows = flush_rows
        self._flush_after_s = flush_after_s
        self._batch = Batch()
        self._settled = asyncio.Event()  # the batch that gathers was written, or never will be
        self._settled_before = asyncio.Event()  # the one before it
        self._settled_before.set()
        self._begun = asyncio.Event()  # there is something to write
        self._due = asyncio.Event()  # it is to be written now
        self._room = asyncio.Event()
        self._failure: Exception | None = None
        self._task = asyncio.create_task(self._write_batches())

    async def object(self, entry: ObjectEntry) -> None:
        """Record what became of an entry. What was recorded of its position before is replaced."""
        await self._wait_for_room()
        digest = bytes.fromhex(entry.blake3) if entry.blake3 else None
        key = (entry.job, entry.sequence, entry.position)
        words = (storable(entry.etag), storable_error(entry.error))
        row = (*key, entry.state.value, storable(entry.key), entry.size_bytes, digest, *words)
        self._batch.put_row(RowKind.OBJECTS, key, row)
        self._added()

    async def version(self, made: MadeVersion) -> None:
        """Record what a version became. What was recorded of its position before is replaced."""
        await self._wait_for_room()
        digest = bytes.fromhex(made.blake3) if made.blake3 else None
        key = (made.job, made.sequence, made.position)
        self._batch.put_row(
            RowKind.VERSIONS, key, (*key, storable(made.key), storable(made.version_id), digest)
        )
        self._added()

    async def pack_checked(self, job: int, sequence: int) -> None:
        """Record that a whole pack was read and matched its digest; of its entries that says nothing."""
        await self._wait_for_room()
        self._batch.put_step(PackChecked(job, sequence, self._now()))
        self._added()

    async def begin_upload(
        self,
        job: int,
        key: str,
        *,
        sequence: int,
        size_bytes: int,
        part_size_bytes: int,
        position: int = -1,
    ) -> Upload:
        """Record that the store will be asked for an upload; ask when this returns, then it is durable.

        Args:
            job: its number.
            key: of the object; fit to be sent.
            sequence: of the segment where the file begins.
            size_bytes: of the object.
            part_size_bytes: of every part but the last.
            position: see `Upload`.
        """
        await self._wait_for_room()
        number, self._next_upload = self._next_upload, self._next_upload + 1
        begun = self._now()
        upload = Upload(number, job, key, "", sequence, size_bytes, part_size_bytes, begun, position)
        self._batch.put_step(UploadBegun(upload))
        await self._added_urgently()
        return upload

    async def name_upload(self, number: int, upload_id: str) -> None:
        """Record the id that the store gave; durable when this returns, send the first part then."""
        await self._wait_for_room()
        self._batch.put_step(UploadNamed(number, storable(upload_id)))
        await self._added_urgently()

    async def part(self, upload: int, part: Part) -> None:
        """Record a part that the store has taken."""
        await self._wait_for_room()
        sums = part.checksums
        crcs = (f"{sums.crc64nvme:016x}", f"{sums.crc32c:08x}") if sums else (None, None)
        row = (upload, part.number, part.size_bytes, storable(part.etag), *crcs)
        self._batch.put_row(RowKind.PARTS, (upload, part.number), row)
        self._added()

    async def end_upload(self, upload: int) -> None:
        """Record that an upload was completed or aborted. Record a completed one's object before."""
        await self._wait_for_room()
        self._batch.put_step(UploadEnded(upload))
        self._added()

    async def flush(self) -> None:
        """Wait until all that was recorded is durable.

        Raises:
            TransferError: it cannot be made so.
        """
        self._raise_if_failed()
        if self._batch.size:
            self._due.set()
            await self._settled.wait()
        else:
            await self._settled_before.wait()
        self._raise_if_failed()

    async def aclose(self) -> None:
        """Flush, and end the task.

        Raises:
            TransferError: as `flush`.
        """
        try:
            await self.flush()
        finally:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _wait_for_room(self) -> None:
        while self._batch.size >= _BATCHES_HELD * self._flush_rows and self._failure is None:
            self._room.clear()
            await self._room.wait()
        self._raise_if_failed()

    def _added(self) -> None:
        self._begun.set()
        if self._batch.size >= self._flush_rows:
            self._due.set()

    async def _added_urgently(self) -> None:
        self._begun.set()
        await self.flush()

    def _raise_if_failed(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _write_batches(self) -> None:
        while self._failure is None:
            await self._begun.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._flush_after_s):  # wait_for may swallow a cancellation
                    await self._due.wait()
            batch, settled = self._take()
            try:
                await self._write(batch)
            except Exception as error:  # whoever records or waits is told, whatever it is
                self._fail(error)
            settled.set()

    def _take(self) -> tuple[Batch, asyncio.Event]:
        batch, settled = self._batch, self._settled
        self._batch, self._settled, self._settled_before = Batch(), asyncio.Event(), settled
        self._begun.clear()
        self._due.clear()
        self._room.set()
        return batch, settled

    def _fail(self, error: Exception) -> None:
        """Wake all that wait: for what was being written, for what would have been, for room."""
        self._failure = error
        self._settled.set()
        self._room.set()
