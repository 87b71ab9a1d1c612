"""S3 Inventory reports: manifests and rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from transfer.errors import FormatError
from transfer.formats.inventory import MAX_ROW_BYTES, InventoryRow, parse_manifest, read_rows

SCHEMA = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass"
COLUMNS = tuple(name.strip() for name in SCHEMA.split(","))


def manifest(**changed: Any) -> bytes:
    told = {
        "sourceBucket": "b",
        "destinationBucket": "arn:aws:s3:::reports",
        "version": "2016-11-30",
        "creationTimestamp": "1514944800000",
        "fileFormat": "CSV",
        "fileSchema": SCHEMA,
        "files": [{"key": "x/data/1.csv.gz", "size": 5, "MD5checksum": "0" * 32}],
    }
    return json.dumps(told | changed).encode()


def test_a_manifest_tells_the_columns_and_the_files():
    read = parse_manifest(manifest())
    assert read.columns == COLUMNS
    assert [(file.key, file.size) for file in read.files] == [("x/data/1.csv.gz", 5)]


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"fileFormat": "Parquet"}, "only CSV"),
        ({"fileSchema": "Bucket, Size"}, "columns"),
        ({"fileSchema": "Key, Key"}, "columns"),
        ({"files": [{"key": "a", "size": 1, "MD5checksum": "../../x"}]}, "MD5"),
        ({"files": 3}, "no manifest"),
    ],
    ids=["parquet", "no key", "twice", "md5", "files"],
)
def test_what_is_no_manifest_is_refused(changed: dict[str, Any], word: str):
    with pytest.raises(FormatError, match=word):
        parse_manifest(manifest(**changed))
    with pytest.raises(FormatError):
        parse_manifest(b"{")


def test_rows_are_decoded():
    line = b'"b","a%2Fb+c%2Bd","v1","false","false","12","2026-01-02T03:04:05.678Z","abc","GLACIER"\n'
    marker = b'"b","gone","v2","true","true","","2026-01-02T03:04:05.000Z","",""\n'
    assert list(read_rows([line, marker], COLUMNS)) == [
        InventoryRow(
            "b",
            "a/b c+d",
            "v1",
            False,
            False,
            12,
            datetime(2026, 1, 2, 3, 4, 5, 678000, UTC),
            "abc",
            "GLACIER",
        ),
        InventoryRow("b", "gone", "v2", True, True, None, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ]


def test_without_a_manifest_the_key_is_the_second_column():
    rows = list(read_rows([b"b,k%C3%A4y,whatever,else\r\n", b"\n", b"b,k2\n"]))
    assert rows == [InventoryRow("b", "käy"), InventoryRow("b", "k2")]


@pytest.mark.parametrize(
    "line",
    [
        b'"b"\n',
        b'"b","%FF"\n',
        b'"b",""\n',
        b'"b","' + b"k" * 1025 + b'"\n',
        b'"b","k' + b" " * MAX_ROW_BYTES + b'"\n',
        b'"b","k"x\n',
        b"\xff,\xff\n",
    ],
    ids=["columns", "utf-8", "empty", "long", "very long", "quotes", "bytes"],
)
def test_what_is_no_row_is_refused_with_its_line(line: bytes):
    with pytest.raises(FormatError, match="line 2"):
        list(read_rows([b'"b","good"\n', line]))


@pytest.mark.parametrize(
    ("column", "value"),
    [("Size", "-1"), ("Size", "9" * 19), ("IsLatest", "yes"), ("LastModifiedDate", "yesterday")],
)
def test_values_that_are_none_are_refused(column: str, value: str):
    with pytest.raises(FormatError, match="line 1"):
        list(read_rows([f'"b","k","{value}"\n'.encode()], ("Bucket", "Key", column)))
