"""The pack that is being written: frames appended to a partial file, hashed as they go, with the lines of its
segment.

Blocking; used from one thread. `transfer.device.writer` decides when a pack is closed, named and committed. A
mark taken where a large file begins allows to go back there when the device turns out too small for all of
it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from msgspec import Struct

from transfer.core.records import B, E, Frame, H, Header
from transfer.device.disk import sync_directory
from transfer.device.layout import PARTIAL_SUFFIX
from transfer.device.pack_file import PackFile, Place, PlainPackFile
from transfer.formats import seek_table
from transfer.formats.frames import Buffer, FrameCompressor
from transfer.formats.segment import SegmentBody, encode_line, encode_segment
from transfer.formats.tar import END_OF_ARCHIVE

if TYPE_CHECKING:
    from transfer.formats.age.keys import Recipient


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
    """What grows while a pack is written, counted before any encryption."""

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

    def copy(self) -> PackState:
        """An independent copy."""
        return replace(self, frames=self.frames.copy(), lines=self.lines.copy())


@dataclass(frozen=True)
class _Mark:
    """A place to go back to."""

    state: PackState
    place: Place


class OpenPack:
    """One pack on its way.

    Args:
        path: its final name.
        in_member: it begins inside a large file.
        level: zstd level of its last frame.
        recipients: whom it is encrypted to; none: it is not.

    Attributes:
        digest: BLAKE3 of the whole stored file; empty until it is sealed off.
        stored_bytes: size of the stored file; 0 until it is sealed off.
        is_named: it has its final name, durably.

    Raises:
        OSError: the partial file cannot be made.
    """

    def __init__(
        self, path: str, *, in_member: bool, level: int, recipients: Sequence[Recipient] = ()
    ) -> None:
        self.path = path
        self.starts_with_member = not in_member
        self.state = PackState(in_member=in_member)
        self.digest = ""
        self.stored_bytes = 0
        self.is_named = False
        self._is_nameless = False
        self._mark: _Mark | None = None
        self._body = SegmentBody()
        self._end_frame = FrameCompressor(level).compress(END_OF_ARCHIVE)
        self._file = _new_file(path + PARTIAL_SUFFIX, recipients)

    @property
    def is_broken(self) -> bool:
        """Whether what is on the disk is anybody's guess, and must not be committed."""
        return self._is_nameless or self._file.is_broken

    @property
    def is_empty(self) -> bool:
        """Whether nothing was appended yet."""
        return not self.state.frames and not self.state.records

    def size_with(self, stored_bytes: int) -> int:
        """How large the finished file would be with one more frame of this size."""
        table = seek_table.table_bytes(len(self.state.frames) + 2)
        return self._file.stored_bytes(self.state.size_bytes + stored_bytes + len(self._end_frame) + table)

    def append(self, piece: Piece) -> None:
        """Write a piece behind the others.

        Raises:
            OSError: the disk refused; the pack is as it was before the piece.
        """
        state = self.state
        mark = self._place() if piece.frame_kind == H else self._mark
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
        settled = state if mark is None else mark.state
        self._body.take(state.lines, len(settled.lines))

    def _place(self) -> _Mark:
        return _Mark(self.state.copy(), self._file.place())

    def _append_frame(self, kind: str, content_bytes: int, stored: Buffer) -> None:
        state = self.state
        self._file.append(stored)
        frame = Frame(type=kind, offset=state.size_bytes, stored_bytes=len(stored), bytes=content_bytes)
        line = encode_line(frame)
        state.lines.append(line)
        state.lines_bytes += len(line)
        state.records += 1
        state.frames.append((len(stored), content_bytes))
        state.size_bytes += len(stored)

    def go_back(self) -> bool:
        """Drop the large file that is being written, if it began in this pack; whether it did."""
        if self._mark is None:
            return False
        self._return_to(self._mark)
        self._mark = None
        return True

    def _return_to(self, mark: _Mark) -> None:
        self.state = mark.state
        self._file.go_back(mark.place)

    def seal_off(self) -> None:
        """Close with E frame and seek table, and sync; afterwards `digest` is that of the whole file.

        Raises:
            OSError: the disk refused. The pack is as before and may be sealed off again, unless `is_broken`.
        """
        before = self._place()
        try:
            stored_bytes = self._close_stream()
        except OSError:
            self._return_to(before)
            raise
        self._file.sync()
        self._file.close()
        self.digest, self.stored_bytes = self._file.digest(), stored_bytes

    def take_name(self) -> None:
        """Give the sealed pack its final name.

        Raises:
            OSError: the disk refused; if it was the rename, it may be tried again.
        """
        os.rename(self.path + PARTIAL_SUFFIX, self.path)
        try:
            sync_directory(os.path.dirname(self.path))
        except OSError:
            self._is_nameless = True
            raise
        self.is_named = True

    def segment(self, header: Header) -> bytes:
        """The segment of the sealed pack; may be asked for again, which costs more."""
        body, self._body = self._body, SegmentBody()
        return encode_segment(header, self.state.lines, self.state.records, body)

    def _close_stream(self) -> int:
        state = self.state
        if not state.in_member:
            self._append_frame(E, len(END_OF_ARCHIVE), self._end_frame)
        table = seek_table.encode(state.frames)
        self._file.append(table)
        state.size_bytes += len(table)
        stored_bytes = self._file.end()
        self._file.cut(stored_bytes)
        return stored_bytes

    def close(self) -> None:
        """Give the file descriptor back."""
        self._file.close()


def _new_file(path: str, recipients: Sequence[Recipient]) -> PackFile:
    if not recipients:
        return PlainPackFile(path)
    from transfer.device.encrypted_pack import EncryptedPackFile  # noqa: PLC0415  (start-up time)

    return EncryptedPackFile(path, recipients)
