"""Opened frames to objects: small files in one request each, many at once; large ones in parts.

Frames come in order; what they turn into goes out beside each other, bounded by requests and by the budget of bytes. An entry fails alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from transfer.core.content_type import guess_content_type
from transfer.core.file_metadata import file_metadata
from transfer.core.merge import LaterPaths
from transfer.core.object_keys import object_key
from transfer.core.object_metadata import ObjectMetadata, check_metadata
from transfer.core.records import Begin, Chunk, File, Metadata, Void
from transfer.device.path_table import PathTable
from transfer.errors import TransferError
from transfer.jobs.import_.budget import Budget
from transfer.jobs.import_.options import ImportOptions
from transfer.jobs.import_.outcome import Outcome
from transfer.jobs.import_.packs import OpenedFrame
from transfer.jobs.import_.upload import Upload, sums_of
from transfer.stores.contract import Store

IMPORTED = "imported"


class FileSender:
    """Sends the files of one run after the other.

    Args:
        store: where to.
        chunk_size_bytes: of the device.
        options: of the import.
        budget: that opened frames hold bytes of.
        outcome: told what became of each file.
        links: gets what became of files with several names, for the hard links that follow.
    """

    def __init__(
        self, store: Store, chunk_size_bytes: int, options: ImportOptions, budget: Budget, outcome: Outcome, links: PathTable
    ) -> None:
        self._store = store
        self._chunk_size_bytes = chunk_size_bytes
        self._options = options
        self._budget = budget
        self._outcome = outcome
        self._links = links
        self._requests = asyncio.Semaphore(options.requests)
        self._tasks: set[asyncio.Task[None]] = set()
        self._large: Upload | None = None
        self._large_path = b""
        self._later = LaterPaths([])

    def start_run(self, later: LaterPaths) -> None:
        """A run begins; `later` knows the paths that newer runs have."""
        self._later = later
        self.lose_large("the device ends inside it")

    async def take(self, opened: OpenedFrame) -> None:
        """Turn the content of a frame into requests; returns when all of them are under way."""
        held = _Held(self._budget, opened.held_bytes)
        for record in opened.group.records:
            match record:
                case File(offset=int()):
                    await self._small(record, opened, held)
                case Begin():
                    self._begin(record)
                case Chunk():
                    self._chunk(record, opened, held)
                case File():
                    self._close(record)
                case Void():
                    self._give_up()
        held.let_go()

    async def _small(self, record: File, opened: OpenedFrame, held: _Held) -> None:
        path = record.path_bytes
        if self._is_unwanted(path, record):
            return
        damage = opened.damage or opened.defects.get(path, "")
        metadata = object_metadata(record)
        key, problem = self._key(path, metadata)
        if damage or problem:
            self._fell(path, key, record, damage or problem, integrity=bool(damage))
            return
        offset = record.offset or 0
        body = memoryview(opened.content)[offset : offset + record.size_bytes]
        await self._requests.acquire()
        held.share()
        self._start(self._put(path, key, record, body, metadata, held))

    async def _put(
        self, path: bytes, key: str, record: File, body: memoryview, metadata: ObjectMetadata, held: _Held
    ) -> None:
        try:
            result = await self._store.put(key, [body], checksums=sums_of(record), metadata=metadata)
            self._done(path, key, record, result.verified_by.value)
        except TransferError as error:
            self._fell(path, key, record, str(error))
        finally:
            self._requests.release()
            held.let_go()

    def _begin(self, record: Begin) -> None:
        """A large file begins: decide its key and its parts."""
        path = record.path_bytes
        self._large_path, self._large = path, None
        if self._later.has(path) or not self._options.filter.accepts_file(path, record.size_bytes):
            return
        metadata = object_metadata(record)
        key, problem = self._key(path, metadata)
        try:
            upload = Upload(
                self._store, key, record, metadata, self._chunk_size_bytes, self._options.limits, self._budget
            )
        except TransferError as error:
            problem = problem or str(error)
            upload = Upload(
                self._store, key, _unsized(record), metadata, self._chunk_size_bytes, self._options.limits, self._budget
            )
        if problem:
            upload.fail(problem)
        self._large = upload

    def _chunk(self, record: Chunk, opened: OpenedFrame, held: _Held) -> None:
        upload = self._large
        if upload is None:
            return
        damage = opened.damage or opened.defects.get(self._large_path, "")
        if damage:
            upload.fail(f"chunk {record.index}: {damage}", damaged=True)
            return
        upload.add(record, opened.content, held.hand_over())

    def _close(self, record: File) -> None:
        upload, self._large = self._large, None
        path = record.path_bytes
        if upload is None:
            if path != self._large_path:  # its begin was lost with a broken segment
                self._fell(path, self._key(path, None)[0], record, "its beginning is lost", integrity=True)
            elif self._later.has(path):
                self._outcome.superseded += 1
            return
        self._start(self._complete(path, upload, record))

    async def _complete(self, path: bytes, upload: Upload, record: File) -> None:
        try:
            await upload.complete(
                record, lambda result: self._done(path, upload.key, record, result.verified_by.value)
            )
        except TransferError as error:
            self._fell(path, upload.key, record, upload.failure or str(error), integrity=upload.is_damaged)

    def _give_up(self) -> None:
        """A void record: the attempt did not count, another may follow."""
        upload, self._large = self._large, None
        if upload is not None:
            self._start(upload.abort())

    def lose_large(self, reason: str) -> None:
        """The large file at hand goes no further."""
        upload, self._large = self._large, None
        if upload is not None:
            upload.fail(reason, damaged=True)
            self._outcome.fell(upload.key, upload.size_bytes, "", reason, integrity=True)
            self._start(upload.abort())

    def _is_unwanted(self, path: bytes, record: File) -> bool:
        if self._later.has(path):
            self._outcome.superseded += 1
            return True
        return not self._options.filter.accepts_file(path, record.size_bytes)

    def _key(self, path: bytes, metadata: ObjectMetadata | None) -> tuple[str, str]:
        key, problem = object_key(self._options.prefix, path, self._options.limits)
        if not problem and metadata is not None:
            problem = check_metadata(metadata, self._options.limits) or ""
        return key, problem

    def _done(self, path: bytes, key: str, record: File, verified_by: str) -> None:
        self._outcome.verified_by = verified_by
        self._outcome.succeeded(key, record.size_bytes, record.blake3)
        self._note_link(path, record, IMPORTED)

    def _fell(self, path: bytes, key: str, record: File, reason: str, *, integrity: bool = False) -> None:
        self._outcome.fell(key, record.size_bytes, record.blake3, reason, integrity=integrity)
        self._note_link(path, record, reason)

    def _note_link(self, path: bytes, record: File, state: str) -> None:
        if record.inode is not None:
            self._links.put(path, state)

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        """Cancel what is under way, and abort the large file at hand."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._large is not None:
            await self._large.abort()


class _Held:
    """Bytes of one frame, shared by the requests that its content goes into; the last one gives them back."""

    def __init__(self, budget: Budget, size_bytes: int) -> None:
        self._budget = budget
        self._size_bytes = size_bytes
        self._shares = 1

    def share(self) -> None:
        self._shares += 1

    def let_go(self) -> None:
        self._shares -= 1
        if not self._shares and self._size_bytes:
            self._budget.give_back(self._size_bytes)

    def hand_over(self) -> int:
        """All bytes to the one that takes them; nothing is left to give back here."""
        size, self._size_bytes = self._size_bytes, 0
        return size


def object_metadata(record: Metadata) -> ObjectMetadata:
    """What an object keeps of an entry: its times and rights as user metadata, its type by its name."""
    user = file_metadata(mtime_ns=record.mtime_ns, mode=record.mode, uid=record.uid, gid=record.gid)
    name = record.path_bytes.decode(errors="replace")
    return ObjectMetadata(content_type=guess_content_type(name), user=user)


def _unsized(record: Begin) -> Begin:
    """A stand-in whose size any store takes, for an object that is refused anyway."""
    return Begin(path=record.path, path_base64=record.path_base64, mode=0, mtime_ns=0, uid=0, gid=0, size_bytes=1)
