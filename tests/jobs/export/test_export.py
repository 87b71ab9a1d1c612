"""Exports of buckets in memory: what is kept, what comes again, what is chosen."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from blake3 import blake3

from tests.jobs.copy.copying import findings, recover
from tests.jobs.export.exporting import (
    CHUNK,
    Meddler,
    entries,
    export_from,
    manifest_of,
    new_device,
    objects,
    put,
    troubles,
)
from transfer.core.filters import Filter
from transfer.core.object_metadata import ObjectMetadata
from transfer.core.object_selection import Selection
from transfer.core.records import DeleteMarker, File
from transfer.jobs.export.inventory_files import get_report
from transfer.jobs.export.options import Tags
from transfer.stores.memory import MemoryStore

LARGE = bytes(range(256)) * 1000  # four chunks of 64 KiB, the last one short


@pytest.fixture
def device(tmp_path: Path) -> Path:
    return new_device(tmp_path / "device")


async def test_all_that_a_bucket_says_of_objects_is_kept(device: Path, tmp_path: Path):
    store = MemoryStore()
    told = ObjectMetadata(
        content_type="text/csv",
        content_encoding="gzip",
        content_disposition="attachment",
        content_language="de",
        cache_control="max-age=3",
        expires="Wed, 21 Oct 2026 07:28:00 GMT",
        website_redirect="/elsewhere",
        storage_class="STANDARD_IA",
        user={"mtime": "1500000000.25", "file-permissions": "0104640", "file-owner": "7", "owner": "Jörg"},
        tags={"site": "B", "schlüssel": "wert"},
    )
    await put(store, "in/small", b"small", told)
    await put(store, "in/large", LARGE, told)
    await put(store, "in/plain", b"plain")
    await put(store, "out", b"not under the prefix")
    result = await export_from(store, device, prefix="in/")
    assert (result.files, result.unchanged, result.is_partial) == (3, 0, False)
    kept = objects(device)
    assert set(kept) == {"small", "large", "plain"}
    for name, content in (("small", b"small"), ("large", LARGE)):
        record, info = kept[name], await store.head(f"in/{name}")
        facts = record.object
        assert facts is not None
        assert record.blake3 == blake3(content).hexdigest()
        assert (facts.etag, facts.user, facts.tags) == (info.etag, told.user, told.tags)
        assert (facts.content_type, facts.expires) == (told.content_type, told.expires)
        assert (facts.website_redirect, facts.storage_class) == (told.website_redirect, told.storage_class)
        assert (facts.content_language, facts.cache_control) == ("de", "max-age=3")
        assert facts.checksums == info.checksums
        assert info.last_modified is not None
        assert datetime.fromisoformat(facts.last_modified) == info.last_modified
        assert (record.mode, record.mtime_ns, record.uid) == (0o640, 1_500_000_000_250_000_000, 7)
    assert kept["plain"].mode == 0o644
    assert manifest_of(device).headers[0].source == "s3://bucket/in/"
    assert findings(device) == set()
    code, _ = recover(device, tmp_path / "out")
    assert code == 0
    assert (tmp_path / "out/large").read_bytes() == LARGE


async def test_any_key_comes_with_a_name_that_tar_can_hold(device: Path, tmp_path: Path):
    keys = [
        "/lead",
        "../up",
        "a",
        "a/b",
        "a/b/c",
        "a//b",
        "dir/",
        "end/",
        "end/x",
        "ümlaut/\u202e",
        "x" * 300,
    ]
    keys += ["nul\0", "line\nend", "%41", "./."]
    store = MemoryStore()
    for key in keys:
        await put(store, key, b"" if key == "dir/" else key.encode())
    result = await export_from(store, device)
    assert not result.is_partial
    assert sorted(objects(device)) == sorted(keys)
    assert findings(device) == set()
    code, said = recover(device, tmp_path / "out")
    assert code == 0, said
    restored = {path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert restored == {key.encode() for key in keys if key != "dir/"}
    assert (tmp_path / "out/dir").is_dir()


async def test_a_second_export_adds_what_is_new_or_changed(device: Path):
    store = Meddler(MemoryStore())
    for number in range(50):
        await put(store.store, f"k{number:02}", b"%d" % number)
    await put(store.store, "large", LARGE)
    await export_from(store, device)
    store.gets.clear()
    await put(store.store, "k07", b"other")
    await put(store.store, "new", b"new")
    await put(store.store, "k08", b"8", ObjectMetadata(user={"only": "metadata"}))
    result = await export_from(store, device)
    assert store.fetched() == ["k07", "k08", "new"]
    assert (result.run, result.unchanged) == (2, 49)
    assert objects(device)["k07"].blake3 == blake3(b"other").hexdigest()
    store.gets.clear()
    assert (await export_from(store, device)).packs == 0
    assert store.gets == []
    assert findings(device) == set()


async def test_another_prefix_is_another_run(device: Path):
    store = MemoryStore()
    await put(store, "a/x", b"a")
    await put(store, "b/x", b"b")
    await put(store, "b/", b"")
    await export_from(store, device, prefix="a/")
    result = await export_from(store, device, prefix="b/")
    assert (result.run, objects(device)["x"].blake3) == (2, blake3(b"b").hexdigest())


async def test_content_under_the_name_of_the_prefix_is_told(device: Path):
    store = MemoryStore()
    await put(store, "b/", b"content")
    result = await export_from(store, device, prefix="b/")
    assert result.failed == 1
    assert "shorter prefix" in result.problems[0].detail


async def _with_history(store: MemoryStore) -> list[str]:
    """Two keys with versions: their ids as made."""
    ids = [await put(store, "k", b"one"), await put(store, "k", LARGE)]
    await store.delete("k")
    ids += [await put(store, "k", b"three"), await put(store, "gone", b"gone")]
    await store.delete("gone")
    return ids


async def test_all_versions_come_oldest_first_and_only_new_ones_later(device: Path):
    store = Meddler(MemoryStore(versioning="enabled"))
    one, two, three, gone = await _with_history(store.store)
    result = await export_from(store, device, history=True)
    assert not result.is_partial
    kept = entries(device)
    assert [(record.path, type(record)) for record in kept] == [
        ("gone", File), ("gone", DeleteMarker), ("k", File), ("k", File), ("k", DeleteMarker), ("k", File)
    ]  # fmt: skip
    files = [record for record in kept if isinstance(record, File)]
    assert [record.object.version_id for record in files if record.object] == [gone, one, two, three]
    assert all(record.object and record.object.history for record in files)
    store.gets.clear()
    four = await put(store.store, "k", b"four")
    await export_from(store, device, history=True)
    assert store.gets == [("k", four, 0)]
    assert [record.path for record in entries(device)] == ["gone"] * 2 + ["k"] * 5
    assert findings(device) == set()


async def test_what_was_current_at_a_time(device: Path):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    store = MemoryStore(versioning="enabled", now=lambda: now)
    for _ in range(2):
        await _with_history(store)
        now += timedelta(days=1)
    result = await export_from(store, device, as_of=datetime(2026, 1, 1, 12, tzinfo=UTC))
    assert result.files == 1
    (record,) = entries(device)
    assert isinstance(record, File)
    assert record.object is not None
    assert (record.path, record.blake3) == ("k", blake3(b"three").hexdigest())
    assert record.object.version_id and not record.object.history


async def test_begin_end_and_filters(device: Path):
    store = MemoryStore()
    for key in ("p/a", "p/b", "p/b.tmp", "p/c", "p/d", "q/c"):
        await put(store, key, b"x")
    selection = Selection("p/", "p/b", "p/c", Filter.parse(exclude=["*.tmp"]))
    await export_from(store, device, selection=selection)
    assert list(objects(device)) == ["b", "c"]


async def test_a_list_of_keys(device: Path, tmp_path: Path):
    store = Meddler(MemoryStore())
    for key in ("p/a", "p/b", "p/c"):
        await put(store.store, key, key.encode())
    (tmp_path / "keys").write_text("p/c\np/missing\np/a\nq/outside\np/c\n")
    result = await export_from(store, device, prefix="p/", keys=str(tmp_path / "keys"))
    assert (list(objects(device)), troubles(device)) == (["a", "c"], {"missing": "vanished"})
    assert {problem.path: problem.reason for problem in result.problems} == {
        b"missing": "vanished",
        b"q/outside": "outside",
    }
    assert store.fetched() == ["p/a", "p/c"]


async def test_an_inventory_report(device: Path, tmp_path: Path):
    store = Meddler(MemoryStore(versioning="enabled"))
    await _with_history(store.store)
    rows = [
        ["bucket", item.key, item.version_id, item.is_latest, item.is_delete_marker, item.size_bytes,
         item.last_modified.isoformat() if item.last_modified else "", item.etag]
        async for item in store.store.versions()
    ]  # fmt: skip
    lines = "".join(",".join(f'"{value}"' for value in row) + "\n" for row in reversed(rows))
    data = gzip.compress(lines.encode())
    (tmp_path / "data").mkdir()
    (tmp_path / "data/1.csv.gz").write_bytes(data)
    schema = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag"
    file = {"key": "x/data/1.csv.gz", "size": len(data), "MD5checksum": hashlib.md5(data).hexdigest()}
    manifest = {"sourceBucket": "bucket", "fileFormat": "CSV", "fileSchema": schema, "files": [file]}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))

    async def nowhere(name: str) -> MemoryStore:
        raise AssertionError

    report = await get_report(str(tmp_path / "manifest.json"), "", nowhere)
    result = await export_from(store, device, report=report, history=True)
    assert not result.is_partial
    assert [record.path for record in entries(device)] == ["gone"] * 2 + ["k"] * 4
    other = new_device(tmp_path / "other")
    await export_from(store, other, report=report)
    assert list(objects(other)) == ["k"]
    assert objects(other)["k"].size_bytes == 5


async def test_tags_are_asked_for_where_there_are_some(tmp_path: Path):
    store = Meddler(MemoryStore())
    asked: list[str] = []

    async def tags(key: str, **more: object) -> dict[str, str]:
        asked.append(key)
        return dict(await store.store.tags(key))

    store.tags = tags  # type: ignore[attr-defined]
    await put(store.store, "tagged", b"x", ObjectMetadata(tags={"a": "b"}))
    await put(store.store, "plain", b"x")
    for number, (choice, expected) in enumerate(
        [(Tags.AUTO, ["tagged"]), (Tags.ALWAYS, ["plain", "tagged"]), (Tags.NEVER, [])]
    ):
        asked.clear()
        device = new_device(tmp_path / f"device {number}")
        await export_from(store, device, tags=choice)
        assert sorted(asked) == expected
        facts = objects(device)["tagged"].object
        assert facts is not None
        assert facts.tags == ({} if choice is Tags.NEVER else {"a": "b"})


async def test_a_dry_run_tells_what_would_come_and_writes_nothing(device: Path):
    store = Meddler(MemoryStore())
    await put(store.store, "a", b"12345")
    await put(store.store, "large", LARGE)
    await put(store.store, "cold", b"cold", ObjectMetadata(storage_class="DEEP_ARCHIVE"))
    before = sorted(path for path in device.rglob("*"))
    result = await export_from(store, device, dry_run=True)
    assert (result.left_files, result.left_bytes, result.skipped) == (2, 5 + len(LARGE), 1)
    assert sorted(path for path in device.rglob("*")) == before
    assert store.gets == []


def test_large_is_more_than_a_batch_takes():
    assert len(LARGE) > CHUNK
