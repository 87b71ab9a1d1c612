"""`transfer manifest --format s3-inventory`, read back by what reads Amazon's reports for an export."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_plus

import pytest

from tests.golden.make import GOLDEN
from tests.jobs.shipment import make_device, transfer, write_profile
from transfer.core.records import DeleteMarker, ObjectFacts
from transfer.core.s3_uri import S3Uri
from transfer.jobs.comparing.originals import Content
from transfer.jobs.export.inventory_files import _local_report
from transfer.jobs.lists.inventory import write_inventory
from transfer.jobs.lists.options import Listed
from transfer.jobs.lists.view import Item

NAMES = ("plain", "with space", "a+b", "100%", 'quote"comma,', "new\nline", "ü/ä", "empty/")


def rows_of(folder: Path) -> list[dict[str, str]]:
    """The rows, as a program that knows nothing of ours reads Amazon's reports."""
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    md5 = hashlib.md5((folder / "manifest.json").read_bytes()).hexdigest()
    assert (folder / "manifest.checksum").read_text() == md5
    (file,) = manifest["files"]
    stored = (folder / file["key"]).read_bytes()
    assert (file["size"], file["MD5checksum"]) == (len(stored), hashlib.md5(stored).hexdigest())
    columns = [name.strip() for name in manifest["fileSchema"].split(",")]
    lines = gzip.decompress(stored).decode().splitlines()
    return [dict(zip(columns, row, strict=True)) for row in csv.reader(lines)]


@pytest.fixture
def device(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    for name in NAMES:
        path = source / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())
    return make_device(tmp_path / "device", source, write_profile(tmp_path / "p.toml"))


def test_the_rows_are_the_objects_of_an_import(tmp_path: Path, device: Path) -> None:
    folder = tmp_path / "report"
    options = ("--format", "s3-inventory", "--output", folder)
    ended = transfer("manifest", device, *options, "--bucket", "s3://archive/survey")
    assert ended.code == 0, ended.stderr
    rows = rows_of(folder)
    assert {row["Bucket"] for row in rows} == {"archive"}
    expected = {f"survey/{name}": 0 if name.endswith("/") else len(name.encode()) for name in NAMES}
    assert {unquote(row["Key"]): int(row["Size"]) for row in rows} == expected
    assert [unquote_plus(row["Key"]) for row in rows] == sorted(expected, key=str.encode)
    assert {row["LastModifiedDate"][-1] for row in rows} == {"Z"}
    assert all(len(row["BLAKE3"]) == 64 for row in rows)


def test_an_export_can_go_by_it(tmp_path: Path, device: Path) -> None:
    folder = tmp_path / "report"
    options = ("--format", "s3-inventory", "--output", folder, "--bucket", "s3://archive")
    assert transfer("manifest", device, *options, "-q").code == 0
    rows = list(_local_report(str(folder / "manifest.json")).rows("archive"))
    assert {row.key for row in rows} == set(NAMES)
    assert all(row.is_latest and row.last_modified is not None for row in rows)


def test_versions_and_facts_of_objects(tmp_path: Path) -> None:
    content = Content(7, "b" * 64, "c" * 16, "d" * 8)
    older = ObjectFacts(
        version_id="v1",
        etag="e1",
        last_modified="2026-01-02T03:04:05Z",
        storage_class="STANDARD",
        history=True,
    )
    items = [
        Item(b"a//b", content, facts=older, is_latest=False),
        Item(
            b"a//b",
            None,
            marker=DeleteMarker(path="a//b", version_id="v2", last_modified="2026-01-03T00:00:00Z"),
        ),
        Item(b"c", content, facts=ObjectFacts(etag='"x\ny"', storage_class="GLACIER")),
        Item(b"d", content, facts=ObjectFacts(version_id="a\nb", history=True)),
        Item(b"e", None),
        Item(b"f\xff", content),
    ]
    listed = Listed("s3-inventory")
    write_inventory(str(tmp_path / "new/report"), iter(items), listed, S3Uri("b-b", "p"), overwrite=False)
    rows = list(_local_report(str(tmp_path / "new/report/manifest.json")).rows("b-b"))
    assert [(row.key, row.version_id, row.is_latest, row.is_delete_marker, row.etag) for row in rows] == [
        ("p/a//b", "v1", False, False, "e1"),
        ("p/a//b", "v2", True, True, ""),
        ("p/c", "", True, False, ""),
    ]
    assert (rows[0].size_bytes, rows[1].size_bytes, rows[2].storage_class) == (7, None, "GLACIER")
    assert [one.path or one.path_base64 for one in listed.left_out_first] == ["d", "e", "Zv8="]


def test_whose_bucket_it_is(tmp_path: Path) -> None:
    options = ("--format", "s3-inventory", "--output", tmp_path / "report")
    refused = transfer("manifest", GOLDEN / "good", *options)
    assert (refused.code, "--bucket" in refused.stderr) == (2, True)
    assert not (tmp_path / "report/manifest.json").exists()


def test_a_report_is_replaced_only_if_asked(tmp_path: Path) -> None:
    options = ("--format", "s3-inventory", "--output", tmp_path / "report", "--bucket", "s3://b-b")
    assert transfer("manifest", GOLDEN / "good", *options).code == 3
    assert transfer("manifest", GOLDEN / "good", *options).code == 2
    assert transfer("manifest", GOLDEN / "good", *options, "--overwrite").code == 3
    assert len(rows_of(tmp_path / "report")) == 7
    names = sorted(path.name for path in (tmp_path / "report").rglob("*"))
    assert names == ["00000000.csv.gz", "data", "manifest.checksum", "manifest.json"]
