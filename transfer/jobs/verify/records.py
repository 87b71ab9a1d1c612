"""The records against their rules and, where that is asked for, against the frames that they describe.

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
from dataclasses import dataclass, field

from blake3 import blake3
from msgspec.structs import replace

from transfer.core.paths import display
from transfer.core.records import Begin, C, Chunk, Failed, File, Frame, Skipped, Void
from transfer.core.stream_rules import StreamRules
from transfer.device.device import Device
from transfer.device.frame_stream import FrameGroup, PackReader, frame_groups
from transfer.device.raw_read import open_past_cache
from transfer.errors import DeviceError, FormatError, IntegrityError
from transfer.formats.frame_check import frame_defects
from transfer.formats.frames import FrameReader
from transfer.formats.seek_table import decode
from transfer.jobs.verify.findings import Finding, Report
from transfer.jobs.verify.stored import (
    Expected,
    StoredFiles,
    pack_file,
    pack_finding,
    refuse_if_gone,
    report_unreadable,
    segment_file,
)

_MAX_HELD_BYTES = 256 << 20


@dataclass
class _Opened:
    """A frame that was checked: what was found, and the content of a C frame; None when that is wrong."""

    content: bytes | None = b""
    findings: list[Finding] = field(default_factory=list)


class RecordCheck:
    """Checks segment after segment; call `close` at the end.

    Args:
        device: which.
        files: what seal and segments say of it.
        report: told every finding, from the calling thread alone.
        on_bytes: told how many stored bytes were read.
        workers: threads; 0: the frames are not opened.

    Attributes:
        records, failed, skipped: how many were read.
        unfollowed: the segments that could not be followed to their end.
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
        self._rules = StreamRules(device.document.chunk_size_bytes)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="open") if workers else None
        self._in_flight: deque[tuple[FrameGroup, Future[_Opened]]] = deque()
        self._limit = 2 * workers
        self._held_bytes = 0
        self._mine = threading.local()
        self._file: blake3 | None = None
        self.records = self.failed = self.skipped = 0
        self.unfollowed: set[int] = set()
        self.unread = set(files.packs)

    def close(self) -> None:
        """Stop the threads."""
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)

    def check(self) -> None:
        """Check all segments.

        Raises:
            DeviceError: the device is gone.
        """
        for number in sorted(self._files.headers):
            if self._rules.sequence != number - 1 or number - 1 in self.unfollowed:
                self._rules, self._file = self._rules_before(number), None
            descriptor = self._open_pack(number) if self._threads is not None else None
            try:
                self._check(number, PackReader(descriptor) if descriptor is not None else None)
            finally:
                if descriptor is not None:
                    os.close(descriptor)

    def _rules_before(self, number: int) -> StreamRules:
        """Rules that expect this segment, though what stood before it is not known."""
        header = self._files.headers[number]
        nothing = {"first_path": "", "first_path_base64": "", "last_path": "", "last_path_base64": ""}
        unknown = replace(header, sequence=number - 1, **nothing)
        rules = StreamRules(self._device.document.chunk_size_bytes)
        rules.skip_to(self._files.headers.get(number - 1, unknown), header)
        return rules

    def _open_pack(self, number: int) -> int | None:
        try:
            return open_past_cache(self._device.layout.pack(number), direct=False)[0]
        except FileNotFoundError as error:  # reported as missing; its records are checked all the same
            refuse_if_gone(self._device, error)
        except (OSError, FormatError) as error:
            report_unreadable(self._device, pack_file(number), error, self._report)
            self.unread.discard(number)
        return None

    def _check(self, number: int, reader: PackReader | None) -> None:
        """Follow the records of a segment, and its pack beside them."""
        if reader is None:
            self._file = None
        try:
            for group in frame_groups(self._device, number, self._rules):
                self._count(group)
                if reader is not None:
                    reader = self._take(group, reader)
        except IntegrityError as error:
            self.unfollowed.add(number)
            detail = str(error).removeprefix(f"segment {number}: ")
            self._report(Finding(code="segment-invalid", file=segment_file(number), detail=detail))
        except DeviceError as error:
            self.unfollowed.add(number)
            report_unreadable(self._device, segment_file(number), error, self._report)
        self._drain(0)
        if reader is not None and number not in self.unfollowed:
            self._check_end(number, reader)

    def _count(self, group: FrameGroup) -> None:
        self.records += len(group.records)
        self.failed += sum(isinstance(record, Failed) for record in group.records)
        self.skipped += sum(isinstance(record, Skipped) for record in group.records)

    def _take(self, group: FrameGroup, reader: PackReader) -> PackReader | None:
        """Have a group checked; None when the disk failed and the rest of the pack is not worth trying."""
        frame = group.frame
        if frame is None or self._threads is None:
            self._queue(group, _done(_Opened()))
            return reader
        try:
            stored = reader.read(frame)
        except IntegrityError as error:
            self._queue(group, _done(_lost(group, error.what)))
            return reader
        except OSError as error:
            self._queue(group, _done(_lost(group, str(error))))
            report_unreadable(self._device, pack_file(group.sequence), error, self._report)
            self.unread.discard(group.sequence)
            return None
        self._on_bytes(len(stored))
        self._queue(group, self._threads.submit(self._open, group, frame, stored))
        return reader

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
            return _lost(group, error.what)
        findings = [
            _finding("content-altered", group, display(defect.path), defect.detail)
            for defect in frame_defects(frame.type, group.records, content)
        ]
        if findings:
            return _Opened(None, findings)
        return _Opened(content if frame.type == C else b"")

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
                        yield _finding("file-digest", group, display(record.path_bytes), detail)
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
            report_unreadable(self._device, pack_file(number), error, self._report)
            self.unread.discard(number)
            return
        self.unread.discard(number)
        self._on_bytes(max(0, size - sum(stored for stored, _ in reader.frames)))
        found = Expected(size, digest)
        expected = self._files.packs.get(number)
        if expected is not None and found != expected:
            self._report(pack_finding(self._files, number, expected, found))
            return
        try:
            if decode(table) != reader.frames:
                detail = "it lists other frames than the segment"
                self._report(Finding(code="seek-table", file=pack_file(number), detail=detail))
        except FormatError as error:
            self._report(Finding(code="seek-table", file=pack_file(number), detail=error.what))


def _done(opened: _Opened) -> Future[_Opened]:
    future: Future[_Opened] = Future()
    future.set_result(opened)
    return future


def _bytes_of(group: FrameGroup) -> int:
    return group.frame.bytes + group.frame.stored_bytes if group.frame is not None else 0


def _lost(group: FrameGroup, detail: str) -> _Opened:
    """All that has bytes in the frame is lost."""
    paths = [display(record.path_bytes) for record in group.records]
    return _Opened(None, [_finding("frame-damaged", group, path, detail) for path in paths or [""]])


def _finding(code: str, group: FrameGroup, path: str, detail: str) -> Finding:
    return Finding(code=code, file=pack_file(group.sequence), frame=group.index, path=path, detail=detail)
