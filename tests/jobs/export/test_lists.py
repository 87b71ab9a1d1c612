"""Lists of keys: sorting with flat memory, files of keys, gzip."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfer.core.object_selection import Selection
from transfer.errors import FormatError, UsageError
from transfer.formats.inventory import InventoryRow
from transfer.jobs.export.key_list import in_order, inflated, joined_lines, keys_of
from transfer.jobs.export.sorting import sorted_on_disk


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=5), st.binary(max_size=2), st.binary(max_size=300))))
def test_sorting_on_disk_is_sorting(items: list[tuple[bytes, bytes, bytes]]):
    assert list(sorted_on_disk(items, block_bytes=700)) == sorted(items)


def test_items_larger_than_the_reader_s_buffer_come_back_whole():
    items = [(bytes([number]), b"", bytes([number]) * 200_000) for number in range(5, 0, -1)]
    assert list(sorted_on_disk(items, block_bytes=300_000)) == sorted(items)


def test_keys_come_sorted_and_once(tmp_path: Path):
    keys = [f"p/{number:04}" for number in range(500)] + ["p/ä", "p/a b", 'p/"q"']
    lines = [key if number % 3 else json.dumps(key) for number, key in enumerate(keys)]
    lines += [json.dumps({"key": "p/line\nend", "size": 3}), "", "other/x", *lines[:100]]
    random.Random(1).shuffle(lines)
    (tmp_path / "keys").write_text("\r\n".join(lines))
    read = list(keys_of(str(tmp_path / "keys"), Selection("p/")))
    assert read == sorted({*keys, "p/line\nend", "other/x"}, key=str.encode)


@pytest.mark.parametrize(
    "line", [b"\xff", b'{"name": "x"}', b'"half', b"k" * 1025, b'"\\ud800"', b"k" * 70_000]
)
def test_a_line_that_is_no_key_is_named(tmp_path: Path, line: bytes):
    (tmp_path / "keys").write_bytes(b"good\n" + line)
    with pytest.raises(UsageError, match="--keys"):
        list(keys_of(str(tmp_path / "keys"), Selection()))


def test_versions_of_a_report_come_newest_first_and_once():
    def row(key: str, version: str, day: int, *, latest: bool = False) -> InventoryRow:
        from datetime import UTC, datetime

        return InventoryRow("b", key, version, latest, False, 1, datetime(2026, 1, day, tzinfo=UTC))

    rows = [
        row("k", "v1", 1),
        row("k", "v3", 3, latest=True),
        row("a", "x", 9, latest=True),
        row("k", "v2", 2),
    ]
    rows.append(rows[0])
    read = [(row.key, row.version_id) for row in in_order(iter(rows), Selection())]
    assert read == [("a", "x"), ("k", "v3"), ("k", "v2"), ("k", "v1")]


def test_gzip_comes_in_bounded_pieces_member_after_member():
    content = [b"a,b\n" * 1_000_000, b"c,d\n"]
    stored = b"".join(map(gzip.compress, content))
    pieces = list(inflated(iter([stored[:7], stored[7:1000], stored[1000:]])))
    assert b"".join(pieces) == b"".join(content)
    assert max(map(len, pieces)) <= 1 << 18
    assert sum(1 for _ in joined_lines(iter(pieces))) == 1_000_001


@pytest.mark.parametrize("cut", [5, 40, -1])
def test_gzip_that_is_cut_short_is_found(cut: int):
    stored = gzip.compress(random.Random(1).randbytes(1000))
    with pytest.raises(FormatError, match="cut short"):
        list(inflated(iter([stored[:cut]])))
    with pytest.raises(FormatError, match="damaged"):
        list(inflated(iter([stored[:20] + b"\0" * 30 + stored[50:]])))
