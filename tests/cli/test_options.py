"""Shared options: their values become limits and filters, their files are read with care."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from transfer.cli.options import read_bwlimit, read_filter
from transfer.errors import UsageError


def test_no_limit_is_none_however_it_is_said() -> None:
    assert read_bwlimit(None) is None
    assert read_bwlimit("off") is None
    assert read_bwlimit("08:00,off 12:00,off") is None
    assert read_bwlimit("1M") is not None


def test_no_options_are_an_empty_filter() -> None:
    assert read_filter().is_empty
    assert read_filter(min_size="off").is_empty


def test_rules_come_from_files_and_keep_stray_bytes(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.write_bytes(b"\xef\xbb\xbf- *.bak\n+ caf\xe9\n- *\n")
    made = read_filter(rules_from=[str(rules)])
    assert [path for path in (b"x.bak", b"caf\xe9", b"y") if made.accepts_file(path)] == [b"caf\xe9"]


def test_a_hyphen_is_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"*.bak\n")))
    made = read_filter(exclude_from=["-"])
    assert not made.accepts_file(b"x.bak")
    assert made.accepts_file(b"x")


def test_sizes_of_filters_count_in_kib_as_in_rclone() -> None:
    made = read_filter(min_size="1", max_size="2KB")
    assert [size for size in (1023, 1024, 2000, 2001) if made.accepts_file(b"x", size)] == [1024, 2000]


def test_what_is_wrong_in_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.write_text("- a\n\nb\n")
    with pytest.raises(UsageError, match=f"--filter-from {rules}, line 3: 'b' is not a rule"):
        read_filter(rules_from=[str(rules)])


def test_a_file_that_cannot_be_read_or_is_huge_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--include-from: cannot read .*No such file"):
        read_filter(include_from=[str(tmp_path / "none")])
    huge = tmp_path / "huge"
    huge.write_bytes(b"x" * (4 * 2**20 + 1))
    with pytest.raises(UsageError, match="larger than 4 MiB"):
        read_filter(include_from=[str(huge)])
