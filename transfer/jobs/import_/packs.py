"""Frames of a device on their way to be objects: read in order, decompressed and checked by threads, given in order.

Nothing here sends anything. Bytes are taken from the budget before a frame is decompressed; whoever receives the opened frame gives them back.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import msgspec

from transfer.core.records import B, C, Chunk, File, Header
from transfer.core.stream_rules import StreamRules
from transfer.device.device import Device
from transfer.device.disk import device_error
from transfer.device.frame_stream import FrameGroup, PackReader, frame_groups
from transfer.device.layout import PACKS, SEGMENTS, pack_name, segment_name
from transfer.device.manifest import open_regular
from transfer.errors import IntegrityError
from transfer.formats.frame_check import content_defect
from transfer.formats.frames import FrameReader
from transfer.jobs.import_.budget import Budget
from transfer.jobs.verify.findings import Finding
from transfer.jobs.verify.stored import Expected, StoredFiles, pack_finding

Value = TypeVar("Value")
_LOST = -2


@dataclass
class OpenedFrame:
    """A frame with its checked content.

    Attributes:
        content: decompressed; empty where `damage` says why there is none.
        damage: the whole frame is lost, and why.
        defects: entries (by path) whose content is not what their record says.
        held_bytes: to be given back to the budget.
    """

    group: FrameGroup
    content: bytes = b""
    damage: str = ""
    defects: dict[bytes, str] = field(default_factory=dict)
    held_bytes: int = 0


class PackStream:
    """The frames of all packs of a device.

    Args:
        device: which.
        files: what its seal says.
        budget: bytes that may be held.
        workers: threads that decompress.
        report: told what is wrong with the device.
    """

    def __init__(
        self, device: Device, files: StoredFiles, budget: Budget, workers: int, report: Callable[[Finding], None]
    ) -> None:
        self._device = device
        self._files = files
        self._budget = budget
        self._report = report
        self._rules = StreamRules(device.document.chunk_size_bytes)
        self._read = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read")
        self._open = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="open")
        self._ahead = 2 * workers
        self._mine = threading.local()

    def close(self) -> None:
        """Stop the threads."""
        self._read.shutdown(wait=True, cancel_futures=True)
        self._open.shutdown(wait=True, cancel_futures=True)

    async def frames(self, sequence: int) -> AsyncIterator[OpenedFrame]:
        """The frames of one pack, in order.

        Raises:
            IntegrityError: the segment is damaged; its entries behind this point are unknown.
            DeviceError: the device is gone.
        """
        queue: asyncio.Queue[asyncio.Future[OpenedFrame] | Exception | None] = asyncio.Queue(self._ahead)
        feeder = asyncio.create_task(self._feed(sequence, queue))
        try:
            while (item := await queue.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield await item
        finally:
            feeder.cancel()
            await asyncio.gather(feeder, return_exceptions=True)

    async def _feed(self, sequence: int, queue: asyncio.Queue[asyncio.Future[OpenedFrame] | Exception | None]) -> None:
        if self._rules.sequence != sequence - 1:
            self._rules = _rules_before(self._files.headers[sequence], self._device.document.chunk_size_bytes)
        pack = _Pack(self._device, sequence)
        groups = frame_groups(self._device, sequence, self._rules)
        try:
            while (group := await self._run(self._read, partial(next, groups, None))) is not None:
                held = group.frame.bytes if group.frame is not None and group.frame.type in (B, C) else 0
                await self._budget.take(held)
                await queue.put(asyncio.ensure_future(self._opened(pack, group, held)))
            await self._run(self._read, partial(self._check_end, pack))
            await queue.put(None)
        except IntegrityError as error:
            self._rules.sequence = _LOST
            self._report(Finding(code="segment-invalid", file=f"{SEGMENTS}/{segment_name(sequence)}", detail=str(error)))
            await queue.put(error)
        except OSError as error:
            await queue.put(device_error(error, self._device.root))
        finally:
            pack.close()

    async def _opened(self, pack: _Pack, group: FrameGroup, held: int) -> OpenedFrame:
        opened = OpenedFrame(group, held_bytes=held)
        stored = await self._run(self._read, partial(pack.read, group))
        if isinstance(stored, str):
            opened.damage = stored
        elif stored:
            await self._run(self._open, partial(self._check, opened, stored))
        return opened

    def _check(self, opened: OpenedFrame, stored: bytes) -> None:
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

    def _check_end(self, pack: _Pack) -> None:
        """The digest of the pack as a whole: also bytes that belong to no entry must be as they were."""
        expected, found = self._files.packs.get(pack.sequence), pack.end()
        if found is not None and expected is not None and found != expected:
            self._report(pack_finding(self._files, pack.sequence, expected, found))

    async def _run(self, executor: ThreadPoolExecutor, function: Callable[[], Value]) -> Value:
        return await asyncio.get_running_loop().run_in_executor(executor, function)


class _Pack:
    """One pack file; missing ones read as damage."""

    def __init__(self, device: Device, sequence: int) -> None:
        self.sequence = sequence
        self._name = f"{PACKS}/{pack_name(sequence)}"
        self._problem = ""
        self._reader: PackReader | None = None
        self._file = None
        try:
            self._file = open_regular(device.layout.pack(sequence))
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            self._reader = PackReader(self._file.fileno())
        except FileNotFoundError:
            self._problem = f"{self._name} is missing"
        except (OSError, IntegrityError) as error:
            self._problem = f"{self._name} cannot be read: {error}"

    def read(self, group: FrameGroup) -> bytes | str:
        """The stored bytes of the group's frame; text where there are none, and why."""
        if group.frame is None:
            return b""
        if self._reader is None:
            return self._problem
        try:
            stored = self._reader.read(group.frame)
        except IntegrityError as error:
            return f"{self._name}: {error.what}"
        except OSError as error:
            self._reader, self._problem = None, f"{self._name} cannot be read: {error.strerror}"
            return self._problem
        return stored if group.frame.type in (B, C) else b""

    def end(self) -> Expected | None:
        """Size and digest of the whole file."""
        if self._reader is None:
            return None
        _, size, digest = self._reader.rest()
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
