"""The pieces that a large file is made of: headers, chunks, padding, its closing record; and the filling of a
member that was given up (FORMAT.md §7, §10). Values in, pieces out; nothing is read here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from transfer.core.records import Begin, C, Chunk, Failed, File, H, P, Record, Void
from transfer.core.stream_rules import path_fields
from transfer.device.open_pack import Piece
from transfer.formats.frames import FrameCompressor
from transfer.formats.segment import encode_line
from transfer.formats.tar import padding_bytes, record_header
from transfer.jobs.filling.chunks import ChunkSums, RunningSums, ZeroFrames
from transfer.jobs.filling.outcome import Outcome, Problem

_MOST_HEADERS_BYTES = 64 << 10


@dataclass
class ResumedFile:
    """A large file whose first chunks are on the device already: what they add up to, and their digests."""

    begin: Begin
    sums: RunningSums
    digests: Iterator[str]


def headers(begin: Begin) -> Piece:
    """The H frame that begins the member."""
    header = record_header(begin)
    return _piece(begin.path_bytes, begin, H, len(header), FrameCompressor(1).compress(header))


def chunk(path: bytes, index: int, size: int, stored: bytes, sums: ChunkSums) -> Piece:
    """A C frame."""
    record = Chunk(
        **path_fields(path),
        index=index,
        size_bytes=size,
        blake3=sums.blake3,
        crc64nvme=f"{sums.crc64nvme:016x}",
        crc32c=f"{sums.crc32c:08x}",
    )
    return _piece(path, record, C, size, stored)


def closing(record: File, zeros: ZeroFrames) -> Piece:
    """The padding behind the last chunk, where it needs one, and the record of the whole file."""
    padding = padding_bytes(record.size_bytes)
    stored = zeros.coded(padding)[0] if padding else b""
    return _piece(record.path_bytes, record, P if padding else "", padding, stored, ends_member=True)


def giving_up(begin: Begin, done_bytes: int, zeros: ZeroFrames) -> Iterator[Piece]:
    """The void record of a large file and the zeros that fill its member behind `done_bytes` of content."""
    left = begin.size_bytes - done_bytes + padding_bytes(begin.size_bytes)
    path = begin.path_bytes
    yield _piece(path, Void(**path_fields(path)), "", 0, b"", ends_member=not left)
    yield from filling(left, zeros)


def filling(left: int, zeros: ZeroFrames) -> Iterator[Piece]:
    """P frames of `left` zero bytes, which end a member."""
    while left:
        size = min(left, zeros.largest_bytes)
        left -= size
        stored = memoryview(zeros.coded(size)[0])
        yield Piece(frame_kind=P, content_bytes=size, stored=stored, ends_member=not left)


def failure(path: bytes, reason: str, detail: str, known_reason: str = "") -> Outcome:
    """A file that could not be read; one that failed the same way before (`known_reason`) is reported, but
    not recorded again."""
    problem = Problem(path, "failed", reason, detail)
    if reason == known_reason:
        return Outcome([], [problem])
    record = Failed(reason=reason, detail=detail, **path_fields(path))
    return Outcome([_piece(path, record, "", 0, b"")], [problem])


def most_stored_bytes(size_bytes: int, chunk_size_bytes: int) -> int:
    """What a large entry takes on a device at the most, all frames, records and encryption included."""
    chunks = size_bytes // chunk_size_bytes + 2
    return size_bytes + size_bytes // 1024 + chunks * 1024 + _MOST_HEADERS_BYTES


def _piece(
    path: bytes, record: Record, kind: str, content_bytes: int, stored: bytes, *, ends_member: bool = False
) -> Piece:
    return Piece(
        frame_kind=kind,
        content_bytes=content_bytes,
        stored=memoryview(stored),
        lines=encode_line(record),
        records=1,
        first_path=path,
        last_path=path,
        entries=int(isinstance(record, File)),
        file_bytes=record.size_bytes if isinstance(record, File) else 0,
        ends_member=ends_member,
    )
