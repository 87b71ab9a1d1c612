"""Segments, frames and seek tables: seeds, and what is asked of what is read of them."""

from __future__ import annotations

import io
import struct
from random import Random

import msgspec
import zstandard

from tests.fuzz import crafting
from tests.fuzz.crafting import GOLDEN, compressed, golden, inflating
from tests.fuzz.law import check_accepted_path, must
from transfer.core.records import Entry, Frame, Hardlink, Header, Symlink
from transfer.core.stream_rules import StreamRules
from transfer.formats import frames, seek_table, segment


def read_segment(case: bytes) -> str:
    """The header alone, then all of it by the rules; every path that is let through is looked at."""
    header = segment.read_header(io.BytesIO(case))
    rules = StreamRules(header.chunk_size_bytes)
    entries = 0
    for block in segment.read_records(io.BytesIO(case)):
        if isinstance(block, Header):
            must(block == header, "two headers")
            if not block.starts_with_member or block.sequence or block.run > 1:
                rules.skip_to(_before(block), block)
            rules.start(block)
            continue
        for accepted in rules.accept_all(block):
            if not isinstance(accepted, Frame):
                entries += len(accepted)
                for record in accepted:
                    _check_record(record)
    rules.finish()
    return "accepted"


def _before(header: Header) -> Header:
    nothing = {"first_path": "", "first_path_base64": "", "last_path": "", "last_path_base64": ""}
    return msgspec.structs.replace(header, sequence=header.sequence - 1, **nothing)


def _check_record(record: Entry) -> None:
    check_accepted_path(record.path_bytes)
    if isinstance(record, Hardlink):
        check_accepted_path(record.target_bytes)
    if isinstance(record, Symlink):
        must(bool(record.target_bytes) and b"\0" not in record.target_bytes, "an impossible target")


def segments() -> list[bytes]:
    """Those of the golden devices, and some that inflate to more than this process may have."""
    head = crafting.lines_of((GOLDEN / "good/segments/00000000.jsonl.zst").read_bytes()).partition(b"\n")[0]
    first = compressed(head + b"\n")
    bombs = [
        inflating(begin, fill)
        for begin, fill in ((b"", b"\0"), (b"", b"\n"), (b"[", b"["), (b'{"a":"', b"a"))
    ]
    return [*golden("segments/*.zst"), *(first + bomb for bomb in bombs), bombs[0]]


def segment_lines() -> list[bytes]:
    return sorted({lines for stored in golden("segments/*.zst") if (lines := _lines_or_none(stored))})


def _lines_or_none(stored: bytes) -> bytes:
    try:
        lines = crafting.lines_of(stored)
    except zstandard.ZstdError:
        return b""
    return lines if len(lines) < 64 << 10 else b""


def read_frame(case: bytes) -> str:
    """What a record says of the frame's size stands before it."""
    expected = int.from_bytes(case[:4], "little") % (frames.MAX_FRAME_BYTES + 1)
    content = frames.FrameReader().decompress(case[4:], expected)
    must(len(content) == expected, f"{len(content)} bytes came out instead of {expected}")
    must(content == _first_frame(case[4:], expected), "another content than zstd's")
    return "accepted"


def _first_frame(stored: bytes, size: int) -> bytes:
    return zstandard.ZstdDecompressor().stream_reader(stored).read(size + 1)


def stored_frames() -> list[bytes]:
    compress = zstandard.ZstdCompressor(level=3, write_checksum=True).compress
    told = []
    for content in (b"", b"a", bytes(1 << 20), bytes(range(256)) * 300, Random(1).randbytes(5000)):
        told.append(struct.pack("<I", len(content)) + compress(content))
    big = compress(bytes(64 << 20))
    # One frame after the other, a frame that states other sizes, one without a size.
    plain = zstandard.ZstdCompressor(write_content_size=False, write_checksum=True).compress(b"abc")
    return [*told, struct.pack("<I", 64 << 20) + big, struct.pack("<I", 100) + big, b"\3\0\0\0" + plain]


def read_seek_table(case: bytes) -> str:
    table = seek_table.decode(case)
    must(seek_table.encode(table) == case, "two tables for the same frames")
    return "accepted"


def seek_tables() -> list[bytes]:
    return [seek_table.encode(sizes) for sizes in ([], [(1, 2)], [(7, 1 << 20)] * 20, [(2**32 - 1,) * 2])]
