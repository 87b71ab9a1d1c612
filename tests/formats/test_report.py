"""report.json and the lines of the CSV files, read back by other people's readers."""

from __future__ import annotations

import csv
import io
import json

from hypothesis import example, given
from hypothesis import strategies as st

from transfer.formats.report import COLUMNS, ImportReport, ReportedFinding, csv_line, encode_report

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(st.lists(st.lists(TEXTS, min_size=5, max_size=5)))
@example([["a\rb", "a\r\nb", '"', ",", " a "], ["", "", "\n", "", ""], ["\x85", "\u2028", "=1+1", "'", ";"]])
def test_rows_come_back_as_they_were(rows: list[list[str]]) -> None:
    text = b"".join(csv_line(*row) for row in [list(COLUMNS), *rows]).decode()
    assert list(csv.reader(io.StringIO(text, newline=""), strict=True)) == [list(COLUMNS), *rows]


@given(st.lists(TEXTS | st.text('ab ,"\n\u00a0', max_size=3), min_size=2, max_size=5))
def test_a_field_is_quoted_for_what_it_holds_alone(fields: list[str]) -> None:
    """A line is written as its fields are, one by one."""
    alone = [csv_line(field).removesuffix(b"\n") for field in fields]
    assert csv_line(*fields) == b",".join(alone) + b"\n"
    for field, written in zip(fields, alone, strict=True):
        needs = any(c in field for c in '",\r\n') or field != field.strip()
        assert written.startswith(b'"') == needs


def test_what_is_no_unicode_is_escaped() -> None:
    assert csv_line("a\udcffb") == b"a\\udcffb\n"


def test_plain_fields_stand_without_quotes() -> None:
    assert csv_line("bucket", "a/b c.txt", "12", "", "") == b"bucket,a/b c.txt,12,,\n"


def test_the_document() -> None:
    report = ImportReport(
        state="damaged",
        device_id="d",
        job="j",
        ordinal=1,
        seal_blake3="s",
        bucket="b",
        prefix="p/",
        endpoint="",
        started="2026-01-01T00:00:00Z",
        finished="2026-01-01T00:00:01Z",
        elapsed_s=1.0,
        verified_by="CRC64NVME",
        objects=1,
        bytes=2,
        failures=3,
        superseded=4,
        folders_implied=5,
        symlinks_skipped=6,
        findings=[ReportedFinding(code="pack-altered", file="packs/x")],
        uploads_left=[],
    )
    document = json.loads(encode_report(report))
    assert document["format"] == "transfer-import-report"
    assert document["format_version"] == 1
    assert document["findings"] == [{"code": "pack-altered", "file": "packs/x"}]
    assert document["state"] == "damaged"
