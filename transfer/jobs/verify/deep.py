"""Every frame opened: its content against its records, its records against the rules, its pack against segment and seal.

Frames are decompressed and checked by threads, a bounded number at once; large files keep one running digest in order. Each stored byte is read once.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from blake3 import blake3

from transfer.core.paths import display
from transfer.core.records import C, Begin, Chunk, File, Frame, Hardlink, Void
from transfer.core.stream_rules import StreamRules
from transfer.device.device import Device
from transfer.device.frame_stream import FrameGroup, PackReader, frame_groups
from transfer.device.layout import PACKS, SEGMENTS, pack_name, segment_name
from transfer.device.manifest import Manifest
from transfer.device.path_table import PathTable
from transfer.device.raw_read import open_past_cache
from transfer.errors import FormatError, IntegrityError
from transfer.formats.frame_check import frame_defects
from transfer.formats.frames import FrameReader
from transfer.formats.seek_table import decode
from transfer.jobs.verify.findings import Finding, Report
from transfer.jobs.verify.stored import Expected, StoredFiles, pack_finding

_Opened = Future[bytes | None]


class DeepCheck:
    """Checks pack after pack; call `close` at the end."""

    def __init__(self, device: Device, files: StoredFiles, report: Report, on_bytes: Callable[[int], None], workers: int) -> None:
        self._device = device
        self._files = files
        self._report = report
        self._on_bytes = on_bytes
        self._rules = StreamRules(device.document.chunk_size_bytes)
        self._threads = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="open")
        self._in_flight: deque[tuple[FrameGroup, _Opened]] = deque()
        self._limit = 2 * workers
        self._mine = threading.local()
        self._file: blake3 | None = None
        self.entries = 0

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def check(self) -> None:
        """Check all packs that have a segment."""
        for number in sorted(self._files.headers):
            if not self._check_pack(number):
                self._rules = _behind(self._rules, self._files, number)
                self._file = None

    def _check_pack(self, number: int) -> bool:
        """Whether the records could be followed to the end of the segment."""
        pack = f"{PACKS}/{pack_name(number)}"
        try:
            descriptor: int | None = open_past_cache(self._device.layout.pack(number))[0]
            _leave_direct_reads(descriptor)
        except FileNotFoundError:
            descriptor = None  # reported as missing; its records are checked all the same
        except (OSError, FormatError) as error:
            self._report(Finding(code="unreadable", file=pack, detail=str(error)))
            descriptor = None
        try:
            return self._follow(number, pack, descriptor)
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _follow(self, number: int, pack: str, descriptor: int | None) -> bool:
        reader = PackReader(descriptor) if descriptor is not None else None
        whole = True
        try:
            for group in frame_groups(self._device, number, self._rules):
                self.entries += len(group.records)
                if reader is not None and group.frame is not None:
                    reader = self._take(group, group.frame, reader, pack)
                else:
                    self._finish_large(group, None)
        except IntegrityError as error:
            self._report(Finding(code="segment-invalid", file=f"{SEGMENTS}/{segment_name(number)}", detail=str(error)))
            whole = False
        self._drain(0)
        if reader is not None and whole:
            self._check_end(number, pack, reader)
        return whole

    def _take(self, group: FrameGroup, frame: Frame, reader: PackReader, pack: str) -> PackReader | None:
        try:
            stored = reader.read(frame)
        except (IntegrityError, OSError) as error:
            self._damaged(group, str(error))
            if isinstance(error, OSError):
                self._report(Finding(code="unreadable", file=pack, detail=str(error)))
            return None if isinstance(error, OSError) else reader
        self._on_bytes(len(stored))
        self._in_flight.append((group, self._threads.submit(self._open, group, frame, stored)))
        self._drain(self._limit)
        return reader

    def _open(self, group: FrameGroup, frame: Frame, stored: bytes) -> bytes | None:
        """Decompress and check one frame; the content of a C frame for the running digest."""
        frames: FrameReader | None = getattr(self._mine, "frames", None)
        if frames is None:
            frames = self._mine.frames = FrameReader()
        try:
            content = frames.decompress(stored, frame.bytes)
        except IntegrityError as error:
            self._damaged(group, error.what)
            return None
        for defect in frame_defects(frame.type, group.records, content):
            self._finding("content-altered", group, display(defect.path), defect.detail)
        return content if frame.type == C else b""

    def _damaged(self, group: FrameGroup, detail: str) -> None:
        paths = [display(record.path_bytes) for record in group.records]
        for path in paths or [""]:
            self._finding("frame-damaged", group, path, detail)

    def _finding(self, code: str, group: FrameGroup, path: str, detail: str) -> None:
        name = f"{PACKS}/{pack_name(group.sequence)}"
        self._report(Finding(code=code, file=name, frame=group.index, path=path, detail=detail))

    def _drain(self, limit: int) -> None:
        while len(self._in_flight) > limit:
            group, opened = self._in_flight.popleft()
            self._finish_large(group, opened.result())

    def _finish_large(self, group: FrameGroup, content: bytes | None) -> None:
        """Keep the digest of the large file at hand: its chunks come in order, over as many packs as it has."""
        for record in group.records:
            match record:
                case Begin():
                    self._file = blake3()
                case Chunk() if content is None:
                    self._file = None  # a chunk is lost, which was reported; the whole cannot be judged
                case Chunk() if self._file is not None:
                    self._file.update(content or b"")
                case File(offset=None) if self._file is not None:
                    if self._file.hexdigest() != record.blake3:
                        self._finding("file-digest", group, display(record.path_bytes), "BLAKE3 of the whole file differs")
                    self._file = None
                case Void():
                    self._file = None

    def _check_end(self, number: int, pack: str, reader: PackReader) -> None:
        """Seek table, size and digest of the pack that was just read."""
        table, size, digest = reader.rest()
        found = Expected(size, digest)
        expected = self._files.packs.get(number)
        if expected is not None and found != expected:
            self._report(pack_finding(self._files, number, expected, found))
            return
        try:
            if decode(table) != reader.frames:
                self._report(Finding(code="seek-table", file=pack, detail="it lists other frames than the segment"))
        except FormatError as error:
            self._report(Finding(code="seek-table", file=pack, detail=error.what))


def _behind(rules: StreamRules, files: StoredFiles, number: int) -> StreamRules:
    """Rules that expect the segment behind a broken one."""
    fresh = StreamRules(rules.chunk_size_bytes)
    fresh.skip_to(files.headers[number], files.headers.get(number + 1))
    return fresh


def _leave_direct_reads(descriptor: int) -> None:
    """Frames do not begin on blocks: reads go through the page cache, which was emptied of this file."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~getattr(os, "O_DIRECT", 0))
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def check_links(manifest: Manifest, report: Report) -> None:
    """Every hard link of the merged view must have the file that it names."""
    with PathTable() as files:
        for path, record in manifest.merged():
            if isinstance(record, File) and record.inode is not None:
                files.put(path, record.blake3)
            elif isinstance(record, Hardlink) and files.get(record.target_bytes) is None:
                detail = f"it names {display(record.target_bytes)}, which is no file here"
                report(Finding(code="link-dangling", path=display(path), detail=detail))
