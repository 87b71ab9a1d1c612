"""The frames of the packs against the records that describe them: `verify --deep`.

Every frame is opened: its content against its records, its pack's end against seek table and digests. Frames
are decompressed and checked by threads, a bounded number of them and of their bytes at once; large files keep
one running digest, in order. Each stored byte is read once. Findings are reported in the order of the packs.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from blake3 import blake3

from transfer.core.paths import display
from transfer.core.records import Begin, C, Chunk, File, Frame, Void
from transfer.device.device import Device
from transfer.device.frame_stream import FrameGroup, PackReader
from transfer.device.pack_source import open_source
from transfer.device.raw_read import open_past_cache
from transfer.errors import FormatError, IntegrityError
from transfer.formats.frame_check import frame_defects
from transfer.formats.frames import FrameReader
from transfer.formats.seek_table import decode
from transfer.jobs.verify.findings import Finding, Report
from transfer.jobs.verify.stored import (
    Expected,
    StoredFiles,
    pack_finding,
    refuse_if_gone,
    report_unreadable,
)

_MAX_HELD_BYTES = 256 << 20


@dataclass
class _Opened:
    """A frame that was checked: what was found, and the content of a C frame; None when that is wrong."""

    content: bytes | None = b""
    findings: list[Finding] = field(default_factory=list)


class FrameCheck:
    """Checks pack after pack, frame after frame; call `close` at the end.

    Args:
        device: which.
        files: what seal and segments say of it.
        report: told every finding, from the calling thread alone.
        on_bytes: told how many stored bytes were read.
        workers: threads, one at least.

    Attributes:
        unread: the packs that were not read to their end.
    """

    def __init__(
        self,
        device: Device,
        files: StoredFiles,
        report: Report,
        on_bytes: Callable[[int], None],
        workers: int,
    ) -> None:
        self._device = device
        self._files = files
        self._report = report
        self._on_bytes = on_bytes
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="open")
        self._in_flight: deque[tuple[FrameGroup, Future[_Opened]]] = deque()
        self._limit = 2 * workers
        self._held_bytes = 0
        self._mine = threading.local()
        self._file: blake3 | None = None
        self._reader: PackReader | None = None
        self.unread = set(files.packs)

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def forget_file(self) -> None:
        """The large file at hand is not whole: its digest cannot be told."""
        self._file = None

    @contextmanager
    def pack(self, number: int) -> Iterator[None]:
        """Take the groups of this pack, as far as it can be opened."""
        descriptor = self._open_pack(number)
        if descriptor is None:
            self._file = None
            yield
            return
        try:
            self._reader = self._new_reader(number, descriptor)
            if self._reader is None:
                self._file = None
            yield
        finally:
            self._reader = None
            os.close(descriptor)

    def _open_pack(self, number: int) -> int | None:
        try:
            return open_past_cache(self._device.layout.pack(number), direct=False)[0]
        except FileNotFoundError as error:  # reported as missing; its records are checked all the same
            refuse_if_gone(self._device, error)
        except (OSError, FormatError) as error:
            self._give_up(number, error)
        return None

    def _new_reader(self, number: int, descriptor: int) -> PackReader | None:
        """None where it cannot be decrypted; its digest is then looked at as that of any unread pack."""
        try:
            return PackReader(open_source(self._device, descriptor))
        except IntegrityError as error:
            name = self._device.layout.pack_file(number)
            self._report(Finding(code="frame-damaged", file=name, detail=error.what))
        except OSError as error:
            self._give_up(number, error)
        return None

    def _give_up(self, number: int, error: Exception) -> None:
        """The disk failed; the digest of the pack is not looked at either."""
        report_unreadable(self._device, self._device.layout.pack_file(number), error, self._report)
        self.unread.discard(number)

    def take(self, group: FrameGroup) -> None:
        """Have a group checked, unless the disk failed and the rest of the pack is not worth trying."""
        frame, reader = group.frame, self._reader
        if reader is None:
            return
        if frame is None:
            self._queue(group, _done(_Opened()))
            return
        try:
            stored = reader.read(frame)
        except IntegrityError as error:
            self._queue(group, _done(self._lost(group, error.what)))
        except OSError as error:
            self._reader = None
            self._queue(group, _done(self._lost(group, str(error))))
            self._give_up(group.sequence, error)
        else:
            self._on_bytes(len(stored))
            self._queue(group, self._threads.submit(self._open, group, frame, stored))

    def end(self, number: int, *, is_followed: bool) -> None:
        """The groups of the pack are over; `is_followed`: there were no more."""
        self._drain(0)
        if self._reader is not None and is_followed:
            self._check_end(number, self._reader)

    def _queue(self, group: FrameGroup, opened: Future[_Opened]) -> None:
        self._in_flight.append((group, opened))
        self._held_bytes += _bytes_of(group)
        self._drain(self._limit)

    def _drain(self, limit: int) -> None:
        while (held := len(self._in_flight)) > limit or (held > 1 and self._held_bytes > _MAX_HELD_BYTES):
            group, future = self._in_flight.popleft()
            opened = future.result()
            self._held_bytes -= _bytes_of(group)
            for finding in opened.findings:
                self._report(finding)
            for finding in self._finish_large(group, opened.content):
                self._report(finding)

    def _open(self, group: FrameGroup, frame: Frame, stored: bytes) -> _Opened:
        """Decompress and check one frame; runs in the threads."""
        frames: FrameReader | None = getattr(self._mine, "frames", None)
        if frames is None:
            frames = self._mine.frames = FrameReader()
        try:
            content = frames.decompress(stored, frame.bytes)
        except IntegrityError as error:
            return self._lost(group, error.what)
        findings = [
            self._finding("content-altered", group, display(defect.path), defect.detail)
            for defect in frame_defects(frame.type, group.records, content)
        ]
        if findings:
            return _Opened(None, findings)
        return _Opened(content if frame.type == C else b"")

    def _lost(self, group: FrameGroup, detail: str) -> _Opened:
        """All that has bytes in the frame is lost."""
        paths = [display(record.path_bytes) for record in group.records]
        return _Opened(None, [self._finding("frame-damaged", group, path, detail) for path in paths or [""]])

    def _finding(self, code: str, group: FrameGroup, path: str, detail: str) -> Finding:
        file = self._device.layout.pack_file(group.sequence)
        return Finding(code=code, file=file, frame=group.index, path=path, detail=detail)

    def _finish_large(self, group: FrameGroup, content: bytes | None) -> Iterator[Finding]:
        """Keep the digest of the large file at hand: its chunks come in order, over however many packs."""
        for record in group.records:
            match record:
                case Begin():
                    self._file = blake3()
                case Chunk() if content is None:
                    self._file = None  # a chunk is wrong, which was reported; the whole cannot be judged
                case Chunk() if self._file is not None:
                    self._file.update(content or b"")
                case File(offset=None) if self._file is not None:
                    if self._file.hexdigest() != record.blake3:
                        detail = "BLAKE3 of the whole file differs"
                        yield self._finding("file-digest", group, display(record.path_bytes), detail)
                    self._file = None
                case Void():
                    self._file = None
                case _:
                    pass

    def _check_end(self, number: int, reader: PackReader) -> None:
        """Seek table, size and digest of the pack that was just read."""
        try:
            table, size, digest = reader.rest()
        except OSError as error:
            self._give_up(number, error)
            return
        self.unread.discard(number)
        self._on_bytes(max(0, size - sum(stored for stored, _ in reader.frames)))
        found = Expected(size, digest)
        expected = self._files.packs.get(number)
        if expected is not None and found != expected:
            self._report(pack_finding(self._files, number, expected, found))
            return
        name = self._device.layout.pack_file(number)
        try:
            if decode(table) != reader.frames:
                detail = "it lists other frames than the segment"
                self._report(Finding(code="seek-table", file=name, detail=detail))
        except FormatError as error:
            self._report(Finding(code="seek-table", file=name, detail=error.what))


def _done(opened: _Opened) -> Future[_Opened]:
    future: Future[_Opened] = Future()
    future.set_result(opened)
    return future


def _bytes_of(group: FrameGroup) -> int:
    return group.frame.bytes + group.frame.stored_bytes if group.frame is not None else 0
