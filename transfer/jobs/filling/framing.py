"""Small members and their records, collected into B frames and pieces for the writer.

A frame holds whole members, in order; it is cut before it would outgrow its limit (FORMAT.md §7).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from transfer.core.records import B, Record
from transfer.device.open_pack import Piece
from transfer.formats.frames import FrameCompressor
from transfer.formats.segment import encode_line
from transfer.formats.tar import BLOCK_BYTES, padding_bytes

_ZEROS = bytes(BLOCK_BYTES)


@dataclass
class _FrameInWork:
    """Members and records collected for the next frame."""

    parts: list[bytes] = field(default_factory=list)
    size_bytes: int = 0
    lines: list[bytes] = field(default_factory=list)
    first_path: bytes = b""
    last_path: bytes = b""
    entries: int = 0
    file_bytes: int = 0


class Framing:
    """Collects; belongs to one thread.

    Args:
        compressor: of its frames.
        limit_bytes: of content in one frame; only a member that is larger goes beyond it.

    Attributes:
        pieces: that are finished; whoever takes them sets another list.
    """

    def __init__(self, compressor: FrameCompressor, limit_bytes: int) -> None:
        self.pieces: list[Piece] = []
        self._compressor = compressor
        self._limit = limit_bytes
        self._frame = _FrameInWork()

    @property
    def size_bytes(self) -> int:
        """Content of the frame at hand: where the next member begins in it."""
        return self._frame.size_bytes

    def make_room(self, size: int) -> None:
        """Cut the frame before a member of this size would take it beyond its limit."""
        if self._frame.size_bytes and self._frame.size_bytes + size > self._limit:
            self.cut()

    def member(self, path: bytes, record: Record, header: bytes, data: bytes = b"") -> None:
        """Put a member and its record into the frame at hand; with content, behind `make_room`."""
        if not data:
            self.make_room(len(header))
        frame = self._frame
        padding = padding_bytes(len(data))
        frame.parts += (header, data, _ZEROS[:padding]) if padding else (header, data)
        frame.size_bytes += len(header) + len(data) + padding
        frame.entries += 1
        frame.file_bytes += len(data)
        self.record(path, record)

    def record(self, path: bytes, record: Record) -> None:
        """Put a record that needs no member behind the others."""
        frame = self._frame
        frame.lines.append(encode_line(record))
        frame.first_path = frame.first_path or path
        frame.last_path = path

    def cut(self) -> None:
        """Finish the frame at hand."""
        frame, self._frame = self._frame, _FrameInWork()
        if not frame.lines:
            return
        stored = self._compressor.compress(b"".join(frame.parts)) if frame.size_bytes else b""
        self.pieces.append(
            Piece(
                frame_kind=B if frame.size_bytes else "",
                content_bytes=frame.size_bytes,
                stored=memoryview(stored),
                lines=b"".join(frame.lines),
                records=len(frame.lines),
                first_path=frame.first_path,
                last_path=frame.last_path,
                entries=frame.entries,
                file_bytes=frame.file_bytes,
                ends_member=bool(frame.size_bytes),
            )
        )
