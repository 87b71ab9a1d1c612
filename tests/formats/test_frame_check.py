"""Content of frames against their records: every byte is accounted for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.golden.build import LARGE, folder, metadata, small
from transfer.core.records import Entry, Failed, File, Removed, Skipped, Symlink
from transfer.formats.frame_check import content_defect, frame_defects
from transfer.formats.tar import padding_bytes, record_header

Frame = tuple[list[Entry], bytes]


def batch() -> Frame:
    """Three members, and records that have no bytes among them."""
    parts, records = [], []
    link = Symlink(**metadata(b"c"), target="a")
    for item in (small(b"a", b"content"), folder(b"b/"), link, small(b"d", b""), small(b"e", b"x" * 512)):
        record, data = item if isinstance(item, tuple) else (item, b"")
        parts.append(record_header(record))
        if isinstance(record, File):
            record.offset = len(b"".join(parts))
        parts.append(data + bytes(padding_bytes(len(data))))
        records.append(record)
    records[1:1] = [
        Failed(path="aa", reason="vanished"),
        Skipped(path="ab", reason="fifo"),
        Removed(path="ac"),
    ]
    return records, b"".join(parts)


RECORDS, CONTENT = batch()


def defects(kind: str, records: list[Entry], content: bytes) -> list[tuple[bytes, str]]:
    return [tuple(defect) for defect in frame_defects(kind, records, content)]


def test_good_frames_have_no_defects() -> None:
    chunk, data = LARGE.chunks[0]
    assert defects("B", RECORDS, CONTENT) == []
    assert defects("H", [LARGE.begin], record_header(LARGE.begin)) == []
    assert defects("C", [chunk], data) == []
    assert defects("P", [LARGE.file()], bytes(300)) == []
    assert defects("E", [], bytes(1024)) == []


@given(st.integers(0, len(CONTENT) - 1), st.integers(0, 7))
def test_no_bit_of_a_batch_can_change(at: int, bit: int) -> None:
    changed = bytearray(CONTENT)
    changed[at] ^= 1 << bit
    assert defects("B", RECORDS, bytes(changed)) != []


@given(st.integers(0, len(CONTENT)), st.integers(0, len(CONTENT)))
def test_nothing_of_a_batch_can_be_left_out_or_doubled(start: int, end: int) -> None:
    changed = CONTENT[:start] + CONTENT[end:]
    assert (defects("B", RECORDS, changed) == []) == (start == end)


@pytest.mark.parametrize(
    "field", ["mode", "mtime_ns", "uid", "gid", "user", "group", "size_bytes", "path", "xattrs"]
)
def test_no_field_of_a_record_can_change(field: str) -> None:
    other: dict[str, Any] = {"user": "other", "group": "other", "path": "aaa", "xattrs": {"user.a": "YQ=="}}
    for place, record in enumerate(RECORDS):
        if isinstance(record, File):
            bent = replace(
                record,
                **{field: other.get(field, getattr(record, field))}
                if field in other
                else {field: getattr(record, field) + 1},
            )
            found = defects("B", [*RECORDS[:place], bent, *RECORDS[place + 1 :]], CONTENT)
            assert found[0] == (bent.path_bytes, "tar header differs from the record")


@pytest.mark.parametrize(
    ("field", "value", "detail"),
    [
        ("blake3", "0" * 64, "BLAKE3 differs"),
        ("crc64nvme", "0" * 16, "CRC differs although BLAKE3 does not: the record is wrong"),
        ("crc32c", "0" * 8, "CRC differs although BLAKE3 does not: the record is wrong"),
    ],
)
def test_sums(field: str, value: str, detail: str) -> None:
    chunk, data = LARGE.chunks[0]
    bent = replace(chunk, **{field: value})
    assert content_defect(chunk, memoryview(data)) == ""
    assert content_defect(bent, memoryview(data)) == detail
    assert defects("C", [bent], data) == [(b"big.bin", f"chunk 0: {detail}")]
    files = [replace(RECORDS[0], **{field: value}), *RECORDS[1:]]
    assert defects("B", files, CONTENT) == [(b"a", detail)]


def test_the_offset_is_where_the_content_is() -> None:
    bent = replace(RECORDS[0], offset=513)
    assert defects("B", [bent, *RECORDS[1:]], CONTENT) == [(b"a", "tar header differs from the record")]


def test_padding_and_what_belongs_to_no_record() -> None:
    assert defects("B", RECORDS, CONTENT + bytes(512)) == [(b"", "512 bytes belong to no record")]
    assert defects("B", [], CONTENT) == [(b"", f"{len(CONTENT)} bytes belong to no record")]
    changed = bytearray(CONTENT)
    changed[1023] = 1
    assert defects("B", RECORDS, bytes(changed)) == [(b"a", "padding is not zero")]
    assert defects("P", [], b"\0\1") == [(b"", "padding is not zero")]
    assert defects("E", [], bytes(1023) + b"\1") == [(b"", "padding is not zero")]


def test_headers_of_large_files() -> None:
    header = record_header(LARGE.begin)
    for changed in (header + bytes(512), header[:-1], b"", record_header(replace(LARGE.begin, mode=0))):
        assert defects("H", [LARGE.begin], changed) == [(b"big.bin", "tar header differs from the record")]


def test_a_cut_frame_is_a_defect_not_a_crash() -> None:
    for end in range(0, len(CONTENT), 97):
        assert defects("B", RECORDS, CONTENT[:end]) != []
