"""The pack that is being written: frames appended to a partial file, hashed as they go, with the lines of its
segment.

Blocking; used from one thread. `transfer.device.writer` decides when a pack is closed, named and committed. A
mark taken where a large file begins allows to go back there when the device turns out too small for all of
it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace

from blake3 import blake3
from msgspec import Struct

from transfer.core.records import B, E, Frame, H, Header
from transfer.device.disk import create_new, start_writeback, sync_directory, write_at
from transfer.device.layout import PARTIAL_SUFFIX
from transfer.formats import seek_table
from transfer.formats.frames import Buffer, FrameCompressor
from transfer.formats.segment import SegmentBody, encode_line, encode_segment
from transfer.formats.tar import END_OF_ARCHIVE

FLUSH_BYTES = 64 << 20
"""Write-back is started in steps of this size, so that the last fsync of a pack finds little left to do."""


class Piece(Struct, frozen=True, array_like=True):
    """What the agent hands to the writer: one frame with its records, or records alone (`frame_kind` empty).

    `lines` holds `records` encoded lines whose paths run from `first_path` to `last_path`; `entries` of them
    are entries of the merged view, with `file_bytes` of content together. A `B` frame begins and ends
    members; `H` begins one; `ends_member` closes it.
    """

    frame_kind: str = ""
    content_bytes: int = 0
    stored: memoryview = memoryview(b"")
    lines: bytes = b""
    records: int = 0
    first_path: bytes = b""
    last_path: bytes = b""
    entries: int = 0
    file_bytes: int = 0
    ends_member: bool = False


@dataclass(slots=True)
class PackState:
    """What grows while a pack is written; a copy of it is a mark to go back to."""

    hasher: blake3
    size_bytes: int = 0
    frames: list[tuple[int, int]] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    lines_bytes: int = 0
    records: int = 0
    entries: int = 0
    file_bytes: int = 0
    first_path: bytes = b""
    last_path: bytes = b""
    in_member: bool = False

    def mark(self) -> PackState:
        """An independent copy."""
        return replace(self, hasher=self.hasher.copy(), frames=self.frames.copy(), lines=self.lines.copy())


class OpenPack:
    """One pack on its way.

    Args:
        path: its final name.
        in_member: it begins inside a large file.
        level: zstd level of its last frame.

    Attributes:
        digest: BLAKE3 of the whole file; empty until it is sealed off.
        is_named: it has its final name, durably.
        is_broken: a sync failed: what is on the disk is anybody's guess, and it must not be committed.

    Raises:
        OSError: the partial file cannot be made.
    """

    def __init__(self, path: str, *, in_member: bool, level: int) -> None:
        self.path = path
        self.starts_with_member = not in_member
        self.state = PackState(hasher=blake3(), in_member=in_member)
        self.digest = ""
        self.is_named = False
        self.is_broken = False
        self._mark: PackState | None = None
        self._body = SegmentBody()
        self._flushed = 0
        self._end_frame = FrameCompressor(level).compress(END_OF_ARCHIVE)
        self._descriptor = create_new(path + PARTIAL_SUFFIX)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was appended yet."""
        return not self.state.frames and not self.state.records

    def size_with(self, stored_bytes: int) -> int:
        """How large the finished pack would be with one more frame of this stored size."""
        table = seek_table.table_bytes(len(self.state.frames) + 2)
        return self.state.size_bytes + stored_bytes + len(self._end_frame) + table

    def append(self, piece: Piece) -> None:
        """Write a piece behind the others.

        Raises:
            OSError: the disk refused; the pack is as it was before the piece.
        """
        state = self.state
        mark = state.mark() if piece.frame_kind == H else self._mark
        if piece.frame_kind:
            self._append_frame(piece.frame_kind, piece.content_bytes, piece.stored)
            state.in_member = piece.frame_kind != B
        if piece.ends_member:
            state.in_member, mark = False, None
        self._mark = mark
        if piece.records:
            state.lines.append(piece.lines)
            state.lines_bytes += len(piece.lines)
            state.records += piece.records
            state.entries += piece.entries
            state.file_bytes += piece.file_bytes
            state.first_path = state.first_path or piece.first_path
            state.last_path = piece.last_path
        settled = state if mark is None else mark
        self._body.take(state.lines, len(settled.lines))

    def _append_frame(self, kind: str, content_bytes: int, stored: Buffer) -> None:
        state = self.state
        self._write(stored)
        frame = Frame(type=kind, offset=state.size_bytes, stored_bytes=len(stored), bytes=content_bytes)
        line = encode_line(frame)
        state.lines.append(line)
        state.lines_bytes += len(line)
        state.records += 1
        state.frames.append((len(stored), content_bytes))
        state.size_bytes += len(stored)
        state.hasher.update(stored)

    def _write(self, content: Buffer) -> None:
        offset = write_at(self._descriptor, content, self.state.size_bytes)
        if offset - self._flushed >= FLUSH_BYTES:
            start_writeback(self._descriptor, self._flushed, offset - self._flushed)
            self._flushed = offset

    def go_back(self) -> bool:
        """Drop the large file that is being written, if it began in this pack; whether it did."""
        if self._mark is None:
            return False
        self.state, self._mark = self._mark, None
        return True

    def seal_off(self) -> None:
        """Close with E frame and seek table, and sync; afterwards `digest` is that of the whole file.

        Raises:
            OSError: the disk refused. The pack is as before and may be sealed off again, unless `is_broken`.
        """
        before = self.state.mark()
        try:
            self._close_stream()
        except OSError:
            self.state = before
            raise
        try:
            os.fsync(self._descriptor)
        except OSError:
            self.is_broken = True
            raise
        start_writeback(self._descriptor, 0, 0)
        self.close()
        self.digest = self.state.hasher.hexdigest()

    def take_name(self) -> None:
        """Give the sealed pack its final name.

        Raises:
            OSError: the disk refused; if it was the rename, it may be tried again.
        """
        os.rename(self.path + PARTIAL_SUFFIX, self.path)
        try:
            sync_directory(os.path.dirname(self.path))
        except OSError:
            self.is_broken = True
            raise
        self.is_named = True

    def segment(self, header: Header) -> bytes:
        """The segment of the sealed pack; may be asked for again, which costs more."""
        body, self._body = self._body, SegmentBody()
        return encode_segment(header, self.state.lines, self.state.records, body)

    def _close_stream(self) -> None:
        state = self.state
        if not state.in_member:
            self._append_frame(E, len(END_OF_ARCHIVE), self._end_frame)
        table = seek_table.encode(state.frames)
        self._write(table)
        state.size_bytes += len(table)
        state.hasher.update(table)
        if os.fstat(self._descriptor).st_size > state.size_bytes:  # what was written before going back
            os.ftruncate(self._descriptor, state.size_bytes)

    def close(self) -> None:
        """Give the file descriptor back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
