"""Whether the content of a frame is what its records say (FORMAT.md §7, §8, §10): bytes in, defects out.

Every byte is accounted for: headers are built anew from the records and compared, content is hashed, padding
is zero, nothing is left over. So what stock tools restore from the frame is what the manifest says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

from awscrt.checksums import crc32c, crc64nvme
from blake3 import blake3

from transfer.core.records import Begin, Chunk, Directory, Entry, File, Hardlink, Symlink
from transfer.formats.tar import padding_bytes, record_header

_MEMBERS = (File, Directory, Symlink, Hardlink)


class Defect(NamedTuple):
    """What is wrong, and with which path (empty: with the frame itself)."""

    path: bytes
    detail: str


def content_defect(record: File | Chunk, content: memoryview) -> str:
    """Why `content` is not what the record's digests say; empty when it is."""
    if blake3(content).hexdigest() != record.blake3:
        return "BLAKE3 differs"
    data = cast(bytes, content)  # awscrt takes any buffer; its annotations know of bytes only
    if f"{crc64nvme(data):016x}" != record.crc64nvme or f"{crc32c(data):08x}" != record.crc32c:
        return "CRC differs although BLAKE3 does not: the record is wrong"
    return ""


def frame_defects(kind: str, records: Sequence[Entry], content: bytes) -> Iterator[Defect]:
    """All that is wrong with a frame that decompressed well."""
    view = memoryview(content)
    match kind:
        case "B":
            yield from _batch(records, view)
        case "H":
            for record in records:
                if isinstance(record, Begin) and record_header(record) != content:
                    yield Defect(record.path_bytes, "tar header differs from the record")
        case "C":
            for record in records:
                if isinstance(record, Chunk) and (detail := content_defect(record, view)):
                    yield Defect(record.path_bytes, f"chunk {record.index}: {detail}")
        case _:
            if content.count(0) != len(content):
                yield Defect(b"", "padding is not zero")


def _batch(records: Sequence[Entry], view: memoryview) -> Iterator[Defect]:
    position = 0
    for record in records:
        if not isinstance(record, _MEMBERS):
            continue
        size = record.size_bytes if isinstance(record, File) else 0
        header = record_header(record)
        start = position + len(header)
        if bytes(view[position:start]) != header or (isinstance(record, File) and record.offset != start):
            yield Defect(record.path_bytes, "tar header differs from the record")
            return
        position = start + size + padding_bytes(size)
        if isinstance(record, File) and (detail := content_defect(record, view[start : start + size])):
            yield Defect(record.path_bytes, detail)
        padding = bytes(view[start + size : position])
        if padding.count(0) != len(padding):
            yield Defect(record.path_bytes, "padding is not zero")
    if position != len(view):
        yield Defect(b"", f"{len(view) - position} bytes belong to no record")
