"""Exported objects go into another bucket as what they were; and so do files that were objects."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from tests.golden.export import DEVICE
from tests.golden.make import EXPORT
from tests.jobs.memory_import import KIB, LIMITS, OPTIONS, SIZES, import_to_memory
from tests.jobs.object_devices import CHUNK, plain, write_objects
from tests.jobs.shipment import make_device, transfer, write_profile
from transfer.core.filters import Filter
from transfer.core.object_metadata import ObjectMetadata
from transfer.core.records import ObjectFacts
from transfer.errors import IntegrityError, StoreError, UsageError
from transfer.formats.object_lines import HEAD_LINE, OBJECTS_NAME, ObjectLine, encode_object_line
from transfer.jobs.import_.dry_run import measure
from transfer.stores.memory import MemoryStore

HEADERS = {
    "content_type": "text/x-thing; charset=utf-8",
    "content_encoding": "identity",
    "content_disposition": 'attachment; filename="x.txt"',
    "content_language": "de",
    "cache_control": "max-age=60",
    "expires": "Thu, 01 Jan 2032 00:00:00 GMT",
    "website_redirect": "/elsewhere",
}
USER = {"mtime": "1700000000.5", "note": "für alle", "empty": ""}
TAGS = {"project": "north & south", "empty": ""}
LARGE = bytes(i * 7 % 251 for i in range(3 * CHUNK + 5))


async def told(store: MemoryStore, key: str) -> ObjectMetadata:
    """All that a bucket says of an object."""
    metadata = (await store.head(key)).metadata
    return replace(metadata, tags=dict(await store.tags(key)))


@pytest.mark.parametrize("body", [b"small", LARGE], ids=["small", "large"])
async def test_everything_that_was_kept_is_there_and_nothing_else(tmp_path: Path, body: bytes) -> None:
    one = plain("a b/ü", body, user=USER, tags=TAGS, storage_class="STANDARD_IA", **HEADERS)
    device = write_objects(tmp_path / "device", [one, plain("bare", body)])
    store = MemoryStore(limits=LIMITS)
    done = await import_to_memory(device, replace(OPTIONS, prefix="p/"), store)
    assert (done.error, done.failed) == (None, {})
    assert done.objects == {"p/a b/ü": body, "p/bare": body}
    expected = ObjectMetadata(storage_class="STANDARD_IA", user=USER, tags=TAGS, **HEADERS)
    assert await told(store, "p/a b/ü") == expected
    assert await told(store, "p/bare") == ObjectMetadata()


async def test_keys_that_are_no_paths(tmp_path: Path) -> None:
    keys = ["//", "/a", "a", "a/", "a//b", "a/b", "a/c/", "k" * 900, "\u65e5\u672c", "\U0001f600"]
    bodies = {key: b"" if key in ("a/", "//") else key.encode() for key in keys}
    device = write_objects(tmp_path / "device", [plain(key, body) for key, body in bodies.items()])
    store = MemoryStore(limits=LIMITS)
    for already in (0, len(keys)):
        done = await import_to_memory(device, store=store)
        assert (done.error, done.failed, done.objects) == (None, {}, bodies)
        assert done.outcome.already == already


async def test_what_cannot_go_is_told_and_nothing_else_is_hurt(tmp_path: Path) -> None:
    objects = [
        plain("a/../b", b"1"),
        plain("k" * 1024, b"2"),
        plain("large", b"3", user={"x": "y" * 3000}),
        plain("many tags", b"4", tags={f"tag {n}": "" for n in range(11)}),
        plain("whole", b"5"),
    ]
    device = write_objects(tmp_path / "device", objects)
    done = await import_to_memory(device, replace(OPTIONS, prefix="p/"))
    assert list(done.objects) == ["p/whole"]
    reasons = [(failure.key[:10], failure.error) for failure in done.outcome.failures]
    words = {
        "p/a/../b": "segment",
        "p/kkkkkkkk": "1,026 bytes",
        "p/large": "user metadata",
        "p/many tag": "tags",
    }
    assert {key for key, reason in reasons if words[key] in reason} == words.keys()


class Picky(MemoryStore):
    """Knows one storage class."""

    def _check(self, metadata: ObjectMetadata) -> None:
        if metadata.storage_class not in (None, "COLD"):
            raise StoreError("The storage class is not valid", status=400, code="InvalidStorageClass")

    async def put(self, *arguments: Any, **named: Any) -> Any:
        self._check(named["metadata"])
        return await super().put(*arguments, **named)

    async def create_upload(self, *arguments: Any, **named: Any) -> Any:
        self._check(named["metadata"])
        return await super().create_upload(*arguments, **named)


@pytest.mark.parametrize("body", [b"small", LARGE], ids=["small", "large"])
async def test_a_storage_class_that_the_store_does_not_have(tmp_path: Path, body: bytes) -> None:
    objects = [plain("a", body, storage_class="GLACIER"), plain("b", body, storage_class="STANDARD")]
    device = write_objects(tmp_path / "device", objects)
    store = Picky(limits=LIMITS)
    done = await import_to_memory(device, store=store)
    assert list(done.objects) == ["b"]
    assert "no storage class 'GLACIER': --storage-class default" in done.failed["a"]
    for asked, stored in (("default", None), ("COLD", "COLD")):
        store = Picky(limits=LIMITS)
        done = await import_to_memory(device, replace(OPTIONS, storage_class=asked), store)
        assert done.failed == {}
        assert [(await store.head(key)).metadata.storage_class for key in "ab"] == [stored, stored]


async def test_the_golden_export_arrives_as_it_was() -> None:
    store = MemoryStore(limits=LIMITS, versioning="enabled")
    done = await import_to_memory(EXPORT / DEVICE, replace(OPTIONS, prefix="to/"), store)
    assert {failure.key for failure in done.outcome.failures} == {"to/changing", "to/frozen"}
    whole = {"/first", "a", "a/", "a//d", "a/b", "a/c/", "big.bin", "kept"}
    assert done.objects.keys() == {f"to/{key}" for key in whole}
    assert done.objects["to/kept"] == b"four"
    kept = [(one.is_delete_marker, one.size_bytes) async for one in store.versions("to/kept")]
    assert kept == [(False, 4), (False, 5), (True, 0), (False, 3)]
    metadata = await told(store, "to/a")
    assert (metadata.user, metadata.tags) == (
        {"mtime": "1704067200", "note": "für alle"},
        {"project": "north"},
    )
    assert (done.outcome.tags_omitted, done.outcome.delete_markers) == (1, 1)


async def test_filters_see_keys(tmp_path: Path) -> None:
    device = write_objects(tmp_path / "device", [plain(key, b"x") for key in ("a/b.txt", "a/b/", "c.txt")])
    done = await import_to_memory(device, replace(OPTIONS, filter=Filter.parse(include=["*.txt"])))
    assert done.objects.keys() == {"a/b.txt", "c.txt"}


def lines(*told: tuple[str, str, bytes, dict[str, Any]]) -> bytes:
    """A list of objects: path, key, content and facts of each."""
    made = [
        ObjectLine(
            path=path,
            key=key,
            size_bytes=len(body),
            blake3=blake3(body).hexdigest(),
            object=ObjectFacts(**facts),
        )
        for path, key, body, facts in sorted(told, key=lambda one: one[0].encode())
    ]
    return HEAD_LINE + b"".join(map(encode_object_line, made))


def restored(folder: Path, *told: tuple[str, str, bytes, dict[str, Any]], text: bytes | None = None) -> Path:
    """A folder that objects were restored into."""
    folder.mkdir()
    for path, _, body, _ in told:
        place = folder / path
        if path.endswith("/"):
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(body)
    (folder / OBJECTS_NAME).write_bytes(lines(*told) if text is None else text)
    return folder


async def copied(tmp_path: Path, source: Path) -> Path:
    profile = write_profile(tmp_path / "tiny.toml", **SIZES)
    return await asyncio.to_thread(make_device, tmp_path / "device", source, profile)


LISTED: tuple[tuple[str, str, bytes, dict[str, Any]], ...] = (
    ("a", "a", b"an object", {"user": USER, "tags": TAGS, **HEADERS}),
    ("a%~1/b", "a/b", b"below", {}),
    ("a%~1/%/c", "a//c", LARGE, {"content_type": "x/y", "storage_class": "COLD"}),
    ("folder/", "folder/", b"", {"user": {"kept": "yes"}}),
    ("folder/z", "folder/z", b"z", {}),
)


async def test_files_that_were_objects_become_them_again(tmp_path: Path) -> None:
    source = restored(tmp_path / "source", *LISTED)
    (source / "added later").write_bytes(b"new")
    device = await copied(tmp_path, source)
    store = MemoryStore(limits=LIMITS)
    options = replace(OPTIONS, object_file=True, prefix="p/")
    bodies = {f"p/{key}": body for _, key, body, _ in LISTED} | {"p/added later": b"new"}
    for already in (0, len(bodies)):
        done = await import_to_memory(device, options, store)
        assert (done.error, done.failed, done.outcome.notes) == (None, {}, [])
        assert (done.objects, done.outcome.already) == (bodies, already)
    assert await told(store, "p/a") == ObjectMetadata(user=USER, tags=TAGS, **HEADERS)
    assert await told(store, "p/a/b") == ObjectMetadata()
    assert (await told(store, "p/a//c")).storage_class == "COLD"
    assert (await told(store, "p/folder/")).user == {"kept": "yes"}
    assert "file-permissions" in (await told(store, "p/added later")).user


async def test_a_list_that_nobody_asked_for_is_pointed_out(tmp_path: Path) -> None:
    device = await copied(tmp_path, restored(tmp_path / "source", *LISTED))
    done = await import_to_memory(device, OPTIONS)
    assert any("with --objects its files become the objects" in note for note in done.outcome.notes)
    assert OBJECTS_NAME in done.objects


async def test_a_long_list_is_read_from_its_chunks(tmp_path: Path) -> None:
    many = [(f"f{n:04}", f"key {n}", b"x", {"user": {"n": str(n) * 40}}) for n in range(600)]
    source = restored(tmp_path / "source", *many)
    assert (source / OBJECTS_NAME).stat().st_size > 2 * 64 * KIB
    done = await import_to_memory(await copied(tmp_path, source), replace(OPTIONS, object_file=True))
    assert (done.error, done.failed) == (None, {})
    assert done.objects.keys() == {key for _, key, _, _ in many}


async def test_what_is_no_more_as_the_list_says_is_told(tmp_path: Path) -> None:
    source = restored(tmp_path / "source", *LISTED)
    (source / "a").write_bytes(b"another content")
    (source / "folder/z").unlink()
    done = await import_to_memory(await copied(tmp_path, source), replace(OPTIONS, object_file=True))
    assert done.objects["a"] == b"another content"
    assert done.failed == {}
    changed, missing = done.outcome.notes
    assert changed.startswith("1 files were changed since")
    assert missing == "1 objects of the list are not on the device"


async def test_a_hard_link_cannot_have_headers_of_its_own(tmp_path: Path) -> None:
    source = restored(tmp_path / "source", ("a", "A", b"x", {}), ("b", "B", b"x", {}))
    (source / "b").unlink()
    os.link(source / "a", source / "b")
    done = await import_to_memory(await copied(tmp_path, source), replace(OPTIONS, object_file=True))
    assert (done.objects, list(done.failed)) == ({"A": b"x"}, ["B"])
    assert "hard link" in done.failed["B"]


@pytest.mark.parametrize(
    ("text", "kind", "word"),
    [
        (b"", IntegrityError, "does not begin"),
        (HEAD_LINE + b"{}\n", IntegrityError, "line 2"),
        (None, UsageError, "has no .transfer-objects.jsonl"),
    ],
)
async def test_a_list_that_is_none(
    tmp_path: Path, text: bytes | None, kind: type[Exception], word: str
) -> None:
    source = restored(tmp_path / "source", *LISTED, text=text or b"")
    if text is None:
        (source / OBJECTS_NAME).unlink()
    done = await import_to_memory(await copied(tmp_path, source), replace(OPTIONS, object_file=True))
    assert isinstance(done.error, kind)
    assert word in str(done.error)
    assert done.objects == {}


async def test_a_device_of_objects_needs_no_list(tmp_path: Path) -> None:
    device = write_objects(tmp_path / "device", [plain("a", b"x")])
    done = await import_to_memory(device, replace(OPTIONS, object_file=True))
    assert isinstance(done.error, UsageError)


def test_a_dry_run_tells_keys_and_versions(tmp_path: Path) -> None:
    measured = measure(str(EXPORT / DEVICE), OPTIONS)
    told = (measured.objects, measured.older_versions, measured.older_bytes, measured.delete_markers)
    assert told == (8, 2, 8, 1)
    assert {refused.key for refused in measured.refused} == {"changing", "frozen"}
    device = asyncio.run(copied(tmp_path, restored(tmp_path / "source", *LISTED)))
    assert measure(str(device), replace(OPTIONS, object_file=True)).objects == len(LISTED)
    ended = transfer("import", device, "s3://bucket/p", "--objects", "--dry-run")
    assert ended.code == 0
    assert ended.stdout.startswith("would write 5 objects")


def test_a_storage_class_has_a_plausible_name(tmp_path: Path) -> None:
    for name in ("cold", "A" * 65, "A\n", ""):
        ended = transfer("import", tmp_path, "s3://bucket/p", "--storage-class", name, "--dry-run")
        assert (ended.code, "--storage-class" in ended.stderr) == (2, True)
