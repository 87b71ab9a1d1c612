"""A large file as pieces: H frame, one C frame a chunk, P frame, closing record (FORMAT.md §7, §10).

Chunks are read in order by one thread, which also keeps the digest of the whole file; sums and compression of each chunk run beside it. Holes are
never read. A file that changes under the reading is given up (`void`), its member filled with zeros, and begun once more; the second time it
is kept as it is and marked as changed. Reading goes on behind chunks that are already on the device only when these are still the same.
"""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from blake3 import blake3

from transfer.core.records import Begin, C, Chunk, Failed, File, H, P, Record, Void
from transfer.core.stream_rules import path_fields
from transfer.device.open_pack import Piece
from transfer.formats.frames import FrameCompressor
from transfer.formats.segment import encode_line
from transfer.formats.tar import padding_bytes, record_header
from transfer.jobs.copy import reading
from transfer.jobs.copy.beneath import Beneath
from transfer.jobs.copy.chunks import ChunkCoder, ChunkSums, RunningSums
from transfer.jobs.copy.walk import failure_reason
from transfer.jobs.copy.work import LargeFile, Outcome, Problem

ATTEMPTS = 2

Value = TypeVar("Value")

Pending = Callable[[], Awaitable[Outcome]]
"""An outcome on its way. Whoever takes it awaits one after the other, in order."""


@dataclass
class ResumedFile:
    """A large file whose first chunks are on the device already: what they add up to, and their digests in order."""

    begin: Begin
    sums: RunningSums
    digests: Iterator[str]


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

    async def pieces(self, file: LargeFile, resumed: ResumedFile | None = None) -> AsyncIterator[Pending]:
        """The file's outcomes in order; what is still being computed is awaited by the taker."""
        try:
            descriptor = await self._coder.in_reader(lambda: self._open(file.path))
        except OSError as error:
            if resumed is not None:
                for piece in giving_up(resumed.begin, resumed.sums.bytes, self._coder):
                    yield ready(Outcome([piece]))
            yield ready(_failure(file, error))
            return
        try:
            if file.known_blake3 and await self._coder.in_reader(lambda: self._digest(descriptor)) == file.known_blake3:
                yield ready(Outcome([], unchanged=1))
                return
            for attempt in range(ATTEMPTS):
                passage = _Passage(file, descriptor, self._coder, is_last=attempt + 1 == ATTEMPTS, xattrs=self._xattrs)
                async for pending in passage.pieces(resumed):
                    yield pending
                if passage.is_done:
                    return
                resumed = None
        finally:
            os.close(descriptor)

    def _open(self, path: bytes) -> int:
        cut = path.rfind(b"/") + 1
        return reading.open_file(self._folders.folder(path[:cut]), path[cut:], follow_links=self._follow_links)

    def _digest(self, descriptor: int) -> str:
        """BLAKE3 of the whole file."""
        hasher, offset, buffer = blake3(), 0, bytearray(self._coder.chunk_size_bytes)
        while count := os.preadv(descriptor, [buffer], offset):
            hasher.update(memoryview(buffer)[:count])
            offset += count
        return hasher.hexdigest()


class _Passage:
    """One reading of a large file from begin to end."""

    def __init__(self, file: LargeFile, descriptor: int, coder: ChunkCoder, *, is_last: bool, xattrs: bool) -> None:
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

    async def pieces(self, resumed: ResumedFile | None) -> AsyncIterator[Pending]:
        status = os.fstat(self._descriptor)
        self._is_sparse = status.st_blocks * 512 < status.st_size
        if resumed is None:
            self._begin = self._begin_record(status)
            yield ready(Outcome([_headers(self._begin)]))
        else:
            self._begin = resumed.begin
            if not await self._coder.in_reader(lambda: self._prefix_is_same(resumed)):
                for piece in giving_up(self._begin, resumed.sums.bytes, self._coder):
                    yield ready(Outcome([piece]))
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
        for piece in giving_up(self._begin, self._offset, self._coder):
            yield ready(Outcome([piece]))
        if failure is not None:
            self.is_done = True
            yield ready(_failure(self._file, failure))

    def _begin_record(self, status: os.stat_result) -> Begin:
        xattrs, omitted = reading.read_xattrs(self._descriptor) if self._wants_xattrs else ({}, False)
        return Begin(
            **path_fields(self._path),
            mode=status.st_mode & 0o7777,
            mtime_ns=status.st_mtime_ns,
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
        same = (status.st_size, status.st_mtime_ns) == (self._begin.size_bytes, self._begin.mtime_ns)
        return same and not self._changed

    def _prefix_is_same(self, resumed: ResumedFile) -> bool:
        """Read what is on the device already once more: it must have the digests that were recorded then."""
        if not self._is_steady():
            return False
        buffer = bytearray(self._coder.chunk_size_bytes)
        for digest in resumed.digests:
            count = self._read_into(buffer, self._offset)
            content = memoryview(buffer)[:count]
            if blake3(content).hexdigest() != digest:
                return False
            self._hasher.update(content)
            self._offset += count
            self._chunk += 1
        self._sums = resumed.sums
        return self._offset == resumed.sums.bytes

    async def _next_chunk(self) -> Pending:
        size = min(self._coder.chunk_size_bytes, self._begin.size_bytes - self._offset)
        offset, index = self._offset, self._chunk
        self._offset += size
        self._chunk += 1
        if self._is_sparse and await self._coder.in_reader(lambda: self._is_hole(offset, size)):
            stored, sums = self._coder.zeros(size)
            await self._coder.in_reader(lambda: self._hasher.update(bytes(size)))
            return lambda: self._finish_chunk(index, size, _value((stored, sums)))
        buffer = await self._coder.buffer()
        try:
            content = memoryview(buffer)[:size]
            await self._coder.in_reader(lambda: self._read_chunk(content, offset))
        except BaseException:
            self._offset, self._chunk = offset, index
            self._coder.give_back(buffer)
            raise
        task = self._coder.encode(content, buffer)
        return lambda: self._finish_chunk(index, size, task)

    def _is_hole(self, offset: int, size: int) -> bool:
        try:
            return os.lseek(self._descriptor, offset, os.SEEK_DATA) >= offset + size
        except OSError as error:
            return error.errno == errno.ENXIO  # no data behind offset at all

    def _read_chunk(self, content: memoryview, offset: int) -> None:
        """Fill `content`; where the file has become shorter the rest is zeros, and the file counts as changed."""
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

    async def _finish_chunk(self, index: int, size: int, task: Awaitable[tuple[bytes, ChunkSums]]) -> Outcome:
        stored, sums = await task
        self._sums.add(sums, size)
        record = Chunk(
            **path_fields(self._path),
            index=index,
            size_bytes=size,
            blake3=sums.blake3,
            crc64nvme=f"{sums.crc64nvme:016x}",
            crc32c=f"{sums.crc32c:08x}",
        )
        return Outcome([_piece(self._path, record, C, size, stored)])

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
        padding = padding_bytes(record.size_bytes)
        stored = self._coder.zeros(padding)[0] if padding else b""
        piece = _piece(self._path, record, P if padding else "", padding, stored, ends_member=True)
        problems = []
        if record.changed:
            problems.append(Problem(self._path, "changed", "changed", "it changed under every attempt to read it"))
        if record.xattrs_omitted:
            problems.append(Problem(self._path, "xattrs", "xattrs-omitted", "its extended attributes could not be kept"))
        return Outcome([piece], problems, files=1)


_COPIED = ("mode", "mtime_ns", "uid", "gid", "user", "group", "xattrs", "xattrs_omitted", "size_bytes")


def ready(outcome: Outcome) -> Pending:
    """An outcome that is there already."""
    return lambda: _value(outcome)


async def _value(value: Value) -> Value:
    return value


def giving_up(begin: Begin, done_bytes: int, coder: ChunkCoder) -> Iterator[Piece]:
    """The void record of a large file and the zeros that fill its member behind `done_bytes` of content."""
    left = begin.size_bytes - done_bytes + padding_bytes(begin.size_bytes)
    yield _piece(begin.path_bytes, Void(**path_fields(begin.path_bytes)), "", 0, b"", ends_member=not left)
    yield from filling(left, coder)


def filling(left: int, coder: ChunkCoder) -> Iterator[Piece]:
    """P frames of `left` zero bytes, which end a member."""
    while left:
        size = min(left, coder.chunk_size_bytes)
        left -= size
        yield Piece(frame_kind=P, content_bytes=size, stored=memoryview(coder.zeros(size)[0]), ends_member=not left)


def _headers(begin: Begin) -> Piece:
    header = record_header(begin)
    return _piece(begin.path_bytes, begin, H, len(header), FrameCompressor(1).compress(header))


def _failure(file: LargeFile, error: OSError) -> Outcome:
    reason, detail = failure_reason(error), error.strerror or str(error)
    problem = Problem(file.path, "failed", reason, detail)
    if reason == file.known_reason:
        return Outcome([], [problem])
    record = Failed(reason=reason, detail=detail, **path_fields(file.path))
    return Outcome([_piece(file.path, record, "", 0, b"")], [problem])


def _piece(path: bytes, record: Record, kind: str, content_bytes: int, stored: bytes, *, ends_member: bool = False) -> Piece:
    is_entry = isinstance(record, File)
    return Piece(
        frame_kind=kind,
        content_bytes=content_bytes,
        stored=memoryview(stored),
        lines=encode_line(record),
        records=1,
        first_path=path,
        last_path=path,
        entries=int(is_entry),
        file_bytes=record.size_bytes if isinstance(record, File) else 0,
        ends_member=ends_member,
    )
