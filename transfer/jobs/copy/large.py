"""Reading a large file into pieces: H frame, one C frame a chunk, P frame, closing record (FORMAT.md §7,
§10).

Chunks are read in order by one thread, which also keeps the digest of the whole file; sums and compression of
each chunk run beside it. Holes are never read. A file that changes under the reading is given up (`void`),
its member filled with zeros, and begun once more; the second time it is kept as it is and marked as changed.
Reading goes on behind chunks that are on the device already only when these are still the same.
"""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing

from blake3 import blake3

from transfer.core.records import Begin, File
from transfer.core.stream_rules import path_fields
from transfer.jobs.copy import reading
from transfer.jobs.copy.beneath import Beneath
from transfer.jobs.copy.walk import failure_reason
from transfer.jobs.copy.work import LargeFile
from transfer.jobs.filling import large_pieces as pieces_of
from transfer.jobs.filling.chunks import ChunkCoder, ChunkSums, RunningSums
from transfer.jobs.filling.large_pieces import ResumedFile
from transfer.jobs.filling.outcome import CHANGED, XATTRS_OMITTED, Outcome, Pending, Problem, ready, value

ATTEMPTS = 2


class LargeFileReader:
    """Reads large files of one source into pieces."""

    def __init__(self, source: bytes, coder: ChunkCoder, *, follow_links: bool, xattrs: bool) -> None:
        self._folders = Beneath(source, follow_links=follow_links)
        self._coder = coder
        self._follow_links = follow_links
        self._xattrs = xattrs

    def close(self) -> None:
        """Close the folders."""
        self._folders.close()

    async def pieces(
        self, file: LargeFile, resumed: ResumedFile | None = None
    ) -> AsyncGenerator[Pending, None]:
        """The file's outcomes in order; what is still being computed is awaited by the taker."""
        try:
            descriptor = await self._coder.in_reader(lambda: self._open(file.path))
        except OSError as error:
            if resumed is not None:
                for piece in pieces_of.giving_up(resumed.begin, resumed.sums.bytes, self._coder.zeros):
                    yield ready(Outcome([piece]))
            yield ready(_failure(file, error))
            return
        try:
            if await self._is_known(file, descriptor):
                yield ready(Outcome([], unchanged=1))
                return
            for attempt in range(ATTEMPTS):
                is_last = attempt + 1 == ATTEMPTS
                passage = _Passage(file, descriptor, self._coder, is_last=is_last, xattrs=self._xattrs)
                async with aclosing(passage.pieces(resumed)) as pieces:
                    async for pending in pieces:
                        yield pending
                if passage.is_done:
                    return
                resumed = None
        finally:
            self._coder.close_behind(descriptor)

    def _open(self, path: bytes) -> int:
        cut = path.rfind(b"/") + 1
        folder = self._folders.folder(path[:cut])
        return reading.open_file(folder, path[cut:], follow_links=self._follow_links)[0]

    async def _is_known(self, file: LargeFile, descriptor: int) -> bool:
        """Whether the file has the content that the device has; one that cannot be read has not."""
        if not file.known_blake3:
            return False
        try:
            return await self._coder.in_reader(lambda: self._digest(descriptor)) == file.known_blake3
        except OSError:
            return False

    def _digest(self, descriptor: int) -> str:
        """BLAKE3 of the whole file."""
        hasher, offset, buffer = blake3(), 0, bytearray(self._coder.chunk_size_bytes)
        while count := os.preadv(descriptor, [buffer], offset):
            hasher.update(memoryview(buffer)[:count])
            offset += count
        return hasher.hexdigest()


class _Passage:
    """One reading of a large file from begin to end."""

    def __init__(
        self, file: LargeFile, descriptor: int, coder: ChunkCoder, *, is_last: bool, xattrs: bool
    ) -> None:
        self.is_done = False
        self._file = file
        self._path = file.path
        self._descriptor = descriptor
        self._coder = coder
        self._is_last = is_last
        self._wants_xattrs = xattrs
        self._hasher = blake3()
        self._sums = RunningSums()
        self._offset = 0
        self._chunk = 0
        self._changed = False

    async def pieces(self, resumed: ResumedFile | None) -> AsyncGenerator[Pending, None]:
        """What this reading brings; when it ends and is not `is_done`, the file is to be read once more."""
        status = os.fstat(self._descriptor)
        self._is_sparse = status.st_blocks * 512 < status.st_size
        if resumed is None:
            self._begin = self._begin_record(status)
            yield ready(Outcome([pieces_of.headers(self._begin)]))
        else:
            self._begin = resumed.begin
            if not await self._goes_on_behind(resumed):
                for pending in self._give_up(resumed.sums.bytes):
                    yield pending
                return
        failure: OSError | None = None
        try:
            while self._offset < self._begin.size_bytes and (self._is_last or not self._changed):
                yield await self._next_chunk()
        except OSError as error:
            failure = error
        steady = failure is None and await self._coder.in_reader(self._is_steady)
        if failure is None and (self._is_last or steady):
            self.is_done = True
            record = self._file_record(os.fstat(self._descriptor), changed=not steady)
            yield lambda: self._close(record)
            return
        for pending in self._give_up(self._offset):
            yield pending
        if failure is not None:
            self.is_done = True
            yield ready(_failure(self._file, failure))

    def _give_up(self, done_bytes: int) -> Iterator[Pending]:
        for piece in pieces_of.giving_up(self._begin, done_bytes, self._coder.zeros):
            yield ready(Outcome([piece]))

    def _begin_record(self, status: os.stat_result) -> Begin:
        xattrs, omitted = reading.read_xattrs(self._descriptor) if self._wants_xattrs else ({}, False)
        return Begin(
            **path_fields(self._path),
            mode=status.st_mode & 0o7777,
            mtime_ns=reading.mtime_of(status),
            uid=status.st_uid,
            gid=status.st_gid,
            user=reading.user_name(status.st_uid),
            group=reading.group_name(status.st_gid),
            xattrs=xattrs,
            xattrs_omitted=omitted,
            size_bytes=status.st_size,
        )

    def _is_steady(self) -> bool:
        """Whether the file still is what its begin record says."""
        status = os.fstat(self._descriptor)
        same = (status.st_size, reading.mtime_of(status)) == (self._begin.size_bytes, self._begin.mtime_ns)
        return same and not self._changed

    async def _goes_on_behind(self, resumed: ResumedFile) -> bool:
        try:
            return await self._coder.in_reader(lambda: self._prefix_is_same(resumed))
        except OSError:  # the next attempt meets it again, and records it
            return False

    def _prefix_is_same(self, resumed: ResumedFile) -> bool:
        """Read what is on the device already once more: it must have the digests recorded then."""
        if not self._is_steady():
            return False
        buffer = bytearray(self._coder.chunk_size_bytes)
        for digest in resumed.digests:
            content = memoryview(buffer)[: self._read_into(buffer, self._offset)]
            if blake3(content).hexdigest() != digest:
                return False
            self._hasher.update(content)
            self._offset += len(content)
            self._chunk += 1
        self._sums = resumed.sums
        return self._offset == resumed.sums.bytes

    async def _next_chunk(self) -> Pending:
        size = min(self._coder.chunk_size_bytes, self._begin.size_bytes - self._offset)
        offset, index = self._offset, self._chunk
        if self._is_sparse and await self._coder.in_reader(lambda: self._pass_hole(offset, size)):
            self._step(size)
            coded = self._coder.zeros.coded(size)
            return lambda: self._finish_chunk(index, size, value(coded), taken=False)
        buffer = await self._coder.buffer()
        try:
            content = memoryview(buffer)[:size]
            await self._coder.in_reader(lambda: self._read_chunk(content, offset))
        except OSError:
            self._coder.give_back(buffer)
            raise
        self._step(size)
        task = self._coder.encode(content, buffer)
        return lambda: self._finish_chunk(index, size, task, taken=True)

    def _step(self, size: int) -> None:
        self._offset += size
        self._chunk += 1

    def _pass_hole(self, offset: int, size: int) -> bool:
        """Whether there is nothing but a hole, which then counts as read."""
        try:
            is_hole = os.lseek(self._descriptor, offset, os.SEEK_DATA) >= offset + size
        except OSError as error:
            is_hole = error.errno == errno.ENXIO  # no data behind offset at all
        if is_hole:
            self._hasher.update(self._coder.zeros.content(size))
            self._changed = not self._is_steady()
        return is_hole

    def _read_chunk(self, content: memoryview, offset: int) -> None:
        """Fill `content`; where the file has become shorter zeros follow, and the file counts as changed."""
        count = self._read_into(content, offset)
        if count < len(content):
            content[count:] = bytes(len(content) - count)
            self._changed = True
        self._hasher.update(content)
        self._changed = not self._is_steady()

    def _read_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        view, done = memoryview(buffer)[: max(self._begin.size_bytes - offset, 0)], 0
        while done < len(view) and (count := os.preadv(self._descriptor, [view[done:]], offset + done)):
            done += count
        return done

    async def _finish_chunk(
        self, index: int, size: int, task: Awaitable[tuple[bytes, ChunkSums]], *, taken: bool
    ) -> Outcome:
        try:
            stored, sums = await task
        finally:
            if taken:
                self._coder.taken()
        self._sums.add(sums, size)
        return Outcome([pieces_of.chunk(self._path, index, size, stored, sums)])

    def _file_record(self, status: os.stat_result, *, changed: bool) -> Callable[[], File]:
        """The closing record, all but the sums that are still being computed."""
        several = status.st_nlink > 1
        return lambda: File(
            **path_fields(self._path),
            **{name: getattr(self._begin, name) for name in _COPIED},
            blake3=self._hasher.hexdigest(),
            crc64nvme=f"{self._sums.crc64nvme:016x}",
            crc32c=f"{self._sums.crc32c:08x}",
            chunks=self._sums.chunks,
            inode=status.st_ino if several else None,
            volume=status.st_dev if several else None,
            sparse=self._is_sparse,
            changed=changed,
        )

    async def _close(self, make_record: Callable[[], File]) -> Outcome:
        record = make_record()
        outcome = Outcome([pieces_of.closing(record, self._coder.zeros)], files=1)
        if record.changed:
            outcome.problems.append(Problem(self._path, "changed", "changed", CHANGED))
        if record.xattrs_omitted:
            outcome.problems.append(Problem(self._path, "xattrs", "xattrs-omitted", XATTRS_OMITTED))
        if self._file.known_blake3:
            outcome.stored_anew.append(self._path)
        return outcome


def _failure(file: LargeFile, error: OSError) -> Outcome:
    detail = error.strerror or str(error)
    return pieces_of.failure(file.path, failure_reason(error), detail, file.known_reason)


_COPIED = ("mode", "mtime_ns", "uid", "gid", "user", "group", "xattrs", "xattrs_omitted", "size_bytes")
