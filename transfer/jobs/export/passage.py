"""One fetching of a large object from begin to end (FORMAT.md §7, §10)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import NamedTuple

from blake3 import blake3

from transfer.core.records import Begin, File
from transfer.errors import TransferError
from transfer.jobs.export.checking import new_check
from transfer.jobs.export.chunk_window import ChunkWindow, FetchedChunk
from transfer.jobs.export.packing import TAGS_OMITTED
from transfer.jobs.export.trouble import Trouble, judge
from transfer.jobs.filling import large_pieces as pieces_of
from transfer.jobs.filling.chunks import ChunkCoder, ChunkSums, RunningSums
from transfer.jobs.filling.large_pieces import ResumedFile
from transfer.jobs.filling.outcome import Outcome, Pending, Problem, ready
from transfer.stores.content_check import known_sums_hold
from transfer.stores.contract import Checksums, ObjectInfo, Store

ANOTHER = Trouble(False, "changed", "it is not what it was when its first chunks were stored")


class Opened(NamedTuple):
    """An object that is about to be fetched."""

    begin: Begin
    info: ObjectInfo
    version_id: str | None
    first_part: int | None


class Passage:
    """One fetching of a large object from begin to end.

    Attributes:
        trouble: why it did not come to its end; its member is filled then.
    """

    def __init__(self, store: Store, coder: ChunkCoder, at_once: Callable[[], int], opened: Opened) -> None:
        self.trouble: Trouble | None = None
        self._begin = opened.begin
        self._path = opened.begin.path_bytes
        self._info = opened.info
        self._coder = coder
        self._window = ChunkWindow(store, opened.info, opened.version_id, coder, at_once)
        self._hasher = blake3()
        self._first_part = opened.first_part
        self._check = new_check(opened.info, opened.first_part)
        self._sums = RunningSums()
        self._coding: deque[tuple[asyncio.Future[tuple[bytes, ChunkSums]], int]] = deque()
        self._offset = 0
        self._index = 0

    @property
    def stored_bytes(self) -> int:
        """How much of the content went to the device."""
        return self._offset

    async def pieces(self) -> AsyncGenerator[Pending, None]:
        """What this fetching brings; where `trouble` is set afterwards, its member was filled."""
        try:
            chunks = self._window.chunks(self._offset)
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield await self._take(chunk)
            await self._verify()
        except TransferError as error:
            self.trouble = judge(error)
            if self.trouble is None:
                raise
        if self.trouble is None:
            yield ready(self._closing())
            return
        for piece in pieces_of.giving_up(self._begin, self._offset, self._coder.zeros):
            yield ready(Outcome([piece]))

    async def goes_on(
        self, resumed: ResumedFile, committed: Iterator[bytes] | None
    ) -> AsyncGenerator[Pending, None]:
        """As `pieces`, behind what the device has."""
        try:
            if not (await self._read_back(committed) or await self._fetch_back(resumed)):
                self.trouble = ANOTHER
        except TransferError as error:
            self.trouble = judge(error)
            if self.trouble is None:
                raise
        if self.trouble is not None:
            for piece in pieces_of.giving_up(self._begin, resumed.sums.bytes, self._coder.zeros):
                yield ready(Outcome([piece]))
            return
        self._sums = resumed.sums
        self._offset, self._index = resumed.sums.bytes, resumed.sums.chunks
        async with aclosing(self.pieces()) as pieces:
            async for pending in pieces:
                yield pending

    async def _read_back(self, committed: Iterator[bytes] | None) -> bool:
        """Hash what the device has; whether that can be read there."""
        if committed is None:
            return False
        try:
            while (content := await self._coder.in_reader(lambda: next(committed, None))) is not None:
                await self._hash(content)
        except TransferError:  # a damaged pack is for verify to tell of
            self._start_anew()
            return False
        return True

    async def _fetch_back(self, resumed: ResumedFile) -> bool:
        """Fetch once more what the device has: it must have the digests recorded then."""
        chunks = self._window.chunks(0)
        async with aclosing(chunks):
            for digest in resumed.digests:
                chunk = await anext(chunks, None)
                if chunk is None:
                    return False
                try:
                    await self._hash(chunk.content)
                    if blake3(chunk.content).hexdigest() != digest:
                        return False
                finally:
                    self._coder.give_back(chunk.buffer)
        return True

    def _start_anew(self) -> None:
        self._hasher = blake3()
        self._check = new_check(self._info, self._first_part)

    async def _hash(self, content: bytes | memoryview) -> None:
        """Take the next content into the sums of the whole."""
        hasher, check = self._hasher, self._check

        def update() -> None:
            hasher.update(content)
            if check is not None:
                check.update(content)

        await self._coder.in_reader(update)

    async def _take(self, chunk: FetchedChunk) -> Pending:
        await self._hash(chunk.content)
        size, index = len(chunk.content), self._index
        coding = self._coder.encode(chunk.content, chunk.buffer)
        self._coding.append((coding, size))
        self._offset += size
        self._index += 1
        while self._coding and self._coding[0][0].done():
            await self._add_up()
        return lambda: self._finish_chunk(index, size, coding)

    async def _add_up(self) -> None:
        """The sums of the next chunk that is coded."""
        coding, size = self._coding.popleft()
        self._sums.add((await coding)[1], size)

    async def _finish_chunk(
        self, index: int, size: int, coding: asyncio.Future[tuple[bytes, ChunkSums]]
    ) -> Outcome:
        try:
            stored, sums = await coding
        finally:
            self._coder.taken()
        return Outcome([pieces_of.chunk(self._path, index, size, stored, sums)])

    async def _verify(self) -> None:
        """Hold the whole against what the store says of it.

        Raises:
            IntegrityError: it is another.
        """
        while self._coding:
            await self._add_up()
        if self._check is not None:
            self._check.verify()
        else:
            known_sums_hold(self._info, Checksums(self._sums.crc64nvme, self._sums.crc32c))

    def _closing(self) -> Outcome:
        begin = self._begin
        record = File(
            path=begin.path,
            mode=begin.mode,
            mtime_ns=begin.mtime_ns,
            uid=begin.uid,
            gid=begin.gid,
            size_bytes=begin.size_bytes,
            object=begin.object,
            blake3=self._hasher.hexdigest(),
            crc64nvme=f"{self._sums.crc64nvme:016x}",
            crc32c=f"{self._sums.crc32c:08x}",
            chunks=self._sums.chunks,
        )
        outcome = Outcome([pieces_of.closing(record, self._coder.zeros)], files=1)
        if begin.object is not None and begin.object.tags_omitted:
            outcome.problems.append(Problem(self._path, "xattrs", "tags-omitted", TAGS_OMITTED))
        return outcome
