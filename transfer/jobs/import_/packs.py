"""Frames of a device on their way to be objects: read in order, opened and checked by threads.

Nothing here sends anything. Whoever wants frames says of each, in order and before it is read, whether its
content is needed; so what is in the bucket already is passed over. A pack that was never read to its end is
read whole all the same, for its digest. Bytes are taken from the budget before a frame is decompressed;
whoever receives the opened frame gives them back. A frame that is damaged or cannot be read is lost alone,
the next one is tried.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO, Generic, Protocol, TypeAlias, TypeVar

import msgspec

from transfer.core.records import B, C, Chunk, File, Header
from transfer.core.stream_rules import StreamRules
from transfer.device.device import Device
from transfer.device.disk import device_error
from transfer.device.frame_stream import FrameGroup, PackReader, frame_groups
from transfer.device.manifest import open_regular
from transfer.device.pack_source import open_source
from transfer.errors import IntegrityError, TransferError
from transfer.formats.frame_check import content_defect
from transfer.formats.frames import FrameReader
from transfer.jobs.import_.budget import Budget, Hold
from transfer.jobs.verify.findings import Finding
from transfer.jobs.verify.stored import Expected, StoredFiles, pack_finding

Value = TypeVar("Value")
_LOST = -2


class Work(Protocol):
    """What somebody wants to do with a frame."""

    @property
    def needs_content(self) -> bool:
        """Whether it is to be read and opened."""


Plan = TypeVar("Plan", bound=Work)


@dataclass
class OpenedFrame(Generic[Plan]):
    """A frame with its checked content.

    Attributes:
        work: what is to be done with it.
        hold: the bytes of `content` in the budget; whoever receives the frame lets go of it.
        content: decompressed; empty where `damage` says why there is none, and where it is not needed.
        damage: the whole frame is lost, and why.
        defects: entries (by path) whose content is not what their record says.
    """

    group: FrameGroup
    work: Plan
    hold: Hold
    content: bytes = b""
    damage: str = ""
    defects: dict[bytes, str] = field(default_factory=dict)


@dataclass
class _Opening(Generic[Plan]):
    """A frame that threads are at work on, and when they are done."""

    opened: OpenedFrame[Plan]
    ready: asyncio.Future[None] | None

    async def wait(self) -> OpenedFrame[Plan]:
        try:
            if self.ready is not None:
                await self.ready
        except BaseException:
            self.opened.hold.let_go()
            raise
        return self.opened

    def drop(self) -> None:
        """Nobody wants it any more."""
        if self.ready is not None:
            self.ready.cancel()
        self.opened.hold.let_go()


class PackStream(Generic[Plan]):
    """The frames of all packs of a device.

    One thread reads, step by step, so files are read in order whatever other threads do. It is one step
    ahead: else it would wait after each frame until the event loop, busy with sending, comes by. A few frames
    are opened at once, behind each other in a queue that keeps their order.

    Args:
        device: which.
        files: what its seal says.
        budget: bytes that may be held.
        workers: threads that decompress.
        plan: asked, in order, what is to be done with each frame.
        report: told what is wrong with the device.
    """

    def __init__(
        self,
        device: Device,
        files: StoredFiles,
        budget: Budget,
        workers: int,
        plan: Callable[[FrameGroup], Awaitable[Plan]],
        report: Callable[[Finding], None],
    ) -> None:
        self._device = device
        self._files = files
        self._budget = budget
        self._plan = plan
        self._report = report
        self._rules = StreamRules(device.document.chunk_size_bytes)
        self._read = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read")
        self._open = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="open")
        self._ahead = 2 * workers
        self.whole: set[int] = set()
        """The packs that were read to their ends and are what they should be."""
        self._mine = threading.local()

    def close(self) -> None:
        """Stop the threads; what they have begun they end."""
        self._read.shutdown(wait=True)
        self._open.shutdown(wait=True, cancel_futures=True)

    async def frames(self, sequence: int, *, checked: bool) -> AsyncGenerator[OpenedFrame[Plan]]:
        """The frames of one pack, in order. To be closed when left early (`contextlib.aclosing`).

        Args:
            sequence: of the pack.
            checked: its digest is known to be right, only what is needed of it is to be read.

        Raises:
            IntegrityError: the segment is damaged; its entries behind this point are unknown.
            DeviceError: the device is gone.
        """
        queue: _Queue[Plan] = asyncio.Queue(self._ahead)
        pack = _Pack(self._device, sequence, whole=not checked)
        feeder = asyncio.create_task(self._feed(pack, queue))
        try:
            while (item := await queue.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield await item.wait()
        finally:
            feeder.cancel()
            await asyncio.wait([feeder])
            while not queue.empty():
                if isinstance(item := queue.get_nowait(), _Opening):
                    item.drop()

    async def _feed(self, pack: _Pack, queue: _Queue[Plan]) -> None:
        """Fill the queue; what ends it early comes out of it at the place where it happened."""
        sequence = pack.sequence
        try:
            await self._feed_frames(pack, queue)
        except IntegrityError as error:
            self._rules.sequence = _LOST
            name = self._device.layout.segment_file(sequence)
            self._report(Finding(code="segment-invalid", file=name, detail=str(error)))
            await queue.put(error)
        except OSError as error:
            await queue.put(device_error(error, self._device.root))
        except Exception as error:  # whoever waits at the other end would wait for ever
            await queue.put(error)
        else:
            await queue.put(None)

    async def _feed_frames(self, pack: _Pack, queue: _Queue[Plan]) -> None:
        sequence = pack.sequence
        if self._rules.sequence != sequence - 1:
            self._rules = _rules_before(self._files.headers[sequence], self._device.document.chunk_size_bytes)
        groups = frame_groups(self._device, sequence, self._rules)
        try:
            read = partial(self._run, self._read, partial(_step, groups, pack))
            ahead = deque([read(), read()])
            while (step := await ahead.popleft()) is not None:
                if isinstance(step, Exception):
                    raise step
                group, stored = step
                ahead.append(read())
                work = await self._plan(group)
                if work.needs_content and stored is None:
                    stored = await self._run(self._read, partial(pack.read, group))
                await self._put(queue, await self._begin(group, work, stored or b""))
            if pack.whole and await self._run(self._read, partial(self._check_end, pack)):
                self.whole.add(sequence)
        finally:
            self._read.submit(pack.close)  # behind what that thread does now

    async def _put(self, queue: _Queue[Plan], opening: _Opening[Plan]) -> None:
        try:
            await queue.put(opening)
        except BaseException:
            opening.drop()
            raise

    async def _begin(self, group: FrameGroup, work: Plan, stored: bytes | str) -> _Opening[Plan]:
        """Have a frame opened as soon as the budget allows."""
        frame = group.frame
        is_wanted = frame is not None and frame.type in (B, C) and work.needs_content
        hold = await self._budget.take(frame.bytes if frame and is_wanted else 0)
        opened = OpenedFrame(group, work, hold)
        if isinstance(stored, str):
            opened.damage = stored
            return _Opening(opened, None)
        if not is_wanted:
            return _Opening(opened, None)
        return _Opening(opened, self._run(self._open, partial(self._check, opened, stored)))

    def _check(self, opened: OpenedFrame[Plan], stored: bytes) -> None:
        """Decompress a frame and hold its files or its chunk against their records."""
        frame = opened.group.frame
        if frame is None:
            return
        reader: FrameReader | None = getattr(self._mine, "reader", None)
        if reader is None:
            reader = self._mine.reader = FrameReader()
        try:
            opened.content = reader.decompress(stored, frame.bytes)
        except IntegrityError as error:
            opened.damage = error.what
            return
        view = memoryview(opened.content)
        for record in opened.group.records:
            if isinstance(record, Chunk):
                defect = content_defect(record, view)
            elif isinstance(record, File) and record.offset is not None:
                defect = content_defect(record, view[record.offset : record.offset + record.size_bytes])
            else:
                continue
            if defect:
                opened.defects[record.path_bytes] = defect

    def _check_end(self, pack: _Pack) -> bool:
        """The digest of the pack as a whole: also bytes that belong to no entry must be as they were."""
        expected, found = self._files.packs.get(pack.sequence), pack.end()
        if pack.problem:
            there = os.path.lexists(self._device.layout.pack(pack.sequence))
            problem = Finding(code="unreadable", file=pack.name, detail=pack.problem)
            self._report(problem if there else Finding(code="pack-missing", file=pack.name))
        elif found is not None and expected is not None and found != expected:
            self._report(pack_finding(self._files, pack.sequence, expected, found))
        return found is not None and found == expected

    def _run(self, executor: ThreadPoolExecutor, function: Callable[[], Value]) -> asyncio.Future[Value]:
        return asyncio.get_running_loop().run_in_executor(executor, function)


_Queue: TypeAlias = asyncio.Queue["_Opening[Plan] | Exception | None"]


def _step(
    groups: Iterator[FrameGroup], pack: _Pack
) -> tuple[FrameGroup, bytes | str | None] | Exception | None:
    """The next group with its stored bytes, which are None where not all of the pack is to be read.

    None behind the last one; an error is given, not raised, since it may come before anybody waits for it.
    """
    try:
        group = next(groups, None)
    except (TransferError, OSError) as error:
        return error
    if group is None:
        return None
    return group, pack.read(group) if pack.whole else None


class _Pack:
    """One pack file, opened when the first frame is read; frames of a missing or unreadable one come as text
    that says so.

    Args:
        device: which.
        sequence: of the pack.
        whole: it is read from its first byte to its last.
    """

    def __init__(self, device: Device, sequence: int, *, whole: bool) -> None:
        self.sequence = sequence
        self.whole = whole
        self.name = device.layout.pack_file(sequence)
        self.problem = ""
        """Why not all of it could be read; the first reason."""
        self._device = device
        self._path = device.layout.pack(sequence)
        self._reader: PackReader | None = None
        self._file: BinaryIO | None = None

    def _open(self) -> PackReader | None:
        if self._reader is None and not self.problem:
            try:
                self._file = open_regular(self._path)
                os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
                self._reader = PackReader(open_source(self._device, self._file.fileno()))
            except (OSError, IntegrityError) as error:
                self.problem = f"{self.name} cannot be read: {getattr(error, 'strerror', None) or error}"
        return self._reader

    def read(self, group: FrameGroup) -> bytes | str:
        """The stored bytes of the group's frame; text where there are none, and why."""
        if group.frame is None:
            return b""
        reader = self._open()
        if reader is None:
            return self.problem
        try:
            return reader.read(group.frame) if self.whole else reader.read_alone(group.frame)
        except IntegrityError as error:
            return f"{self.name}: {error.what}"
        except OSError as error:
            problem = f"{self.name} cannot be read at {group.frame.offset:,}: {error.strerror}"
            self.problem = self.problem or problem
            return problem

    def end(self) -> Expected | None:
        """Size and digest of the whole file; None where it could not all be read."""
        reader = self._open()
        if reader is None or self.problem:
            return None
        try:
            _, size, digest = reader.rest()
        except OSError as error:
            self.problem = f"{self.name} cannot be read at its end: {error.strerror}"
            return None
        return Expected(size, digest)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _rules_before(header: Header, chunk_size_bytes: int) -> StreamRules:
    """Rules that expect this segment, whatever stood before it was lost."""
    rules = StreamRules(chunk_size_bytes)
    nothing = {"first_path": "", "first_path_base64": "", "last_path": "", "last_path_base64": ""}
    rules.skip_to(msgspec.structs.replace(header, sequence=header.sequence - 1, **nothing), header)
    return rules
