"""Devices against buckets in memory: what the listing, a HEAD, a download and an ETag can tell."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from tests.golden.build import Run, document, prepare
from tests.golden.model import seal
from tests.jobs.attempts import Site
from tests.jobs.check.checking import check_folder, check_store, exported, keyed_device, path_device
from tests.jobs.memory_import import LIMITS, objects_in
from tests.jobs.object_devices import plain, write_objects
from tests.jobs.shipment import transfer
from tests.jobs.watched_store import WatchedStore
from transfer.cli.options import read_filter
from transfer.core.progress import Progress
from transfer.core.records import DeleteMarker, Failed, ObjectFacts, Skipped
from transfer.errors import StoreError, StoreUnreachableError
from transfer.formats.object_lines import HEAD_LINE, OBJECTS_NAME, ObjectLine, encode_object_line
from transfer.jobs.import_.options import Symlinks
from transfer.stores.checksums import checksums_of
from transfer.stores.contract import ListedObject, ObjectInfo
from transfer.stores.memory import MemoryStore

LINKS = {"symlinks": Symlinks.RCLONE}


class NoSums(MemoryStore):
    async def head(self, key: str, **version: str | None) -> ObjectInfo:
        return replace(await super().head(key, **version), crc64nvme=None, crc32c=None)


class Zeros:
    """As many bytes as there are, all of them wrong."""

    def __init__(self, body: Any) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._body:
            yield bytes(len(piece))


def without_sums(store: MemoryStore) -> NoSums:
    other = NoSums(limits=LIMITS)
    other._objects = store._objects
    return other


@pytest.fixture
def store(undisturbed: Site) -> MemoryStore:
    return deepcopy(undisturbed.store)


async def put(store: MemoryStore, key: str, body: bytes) -> None:
    await store.put(key, [body], checksums=checksums_of([body]))


async def test_all_of_it_by_the_stores_checksums(store: MemoryStore, varied_device: Path) -> None:
    watched = WatchedStore(store)
    told = await check_store(varied_device, watched, **LINKS)
    objects = await objects_in(store)
    assert (told.states, told.checked.exit_code) == ({}, 0)
    assert set(told.ways.values()) == {"crc64nvme", "empty", "folder"}
    assert told.checked.bytes == sum(map(len, objects.values()))
    assert {call.name for call in watched.calls} == {"list", "head"}
    assert list(told.lines) == sorted(told.lines, key=lambda path: path + ".rclonelink" * (path == "symlink"))
    assert told.checked.unlinked == 0


@pytest.mark.parametrize("quick", [False, True], ids=["sums", "quick"])
async def test_each_change_is_told(store: MemoryStore, varied_device: Path, quick: bool) -> None:
    await store.delete("a/small 3")
    await put(store, "a/small 4", b"longer than before")
    await put(store, "a/small 5", b"x" * 5)
    await put(store, "a/small 5x", b"more")
    await put(store, "z/link to large", bytes((500 << 10) + 3))
    await put(store, "symlink.rclonelink", b"a/small 2")
    await store.delete("empty/inner/")
    await put(store, "zz", b"")
    expected = {
        "a/small 3": "missing", "a/small 4": "different", "a/small 5": "different", "a/small 5x": "extra",
        "empty/inner/": "missing", "symlink": "different", "z/link to large": "different", "zz": "extra",
    }  # fmt: skip
    if quick:
        unseen = ("a/small 5", "symlink", "z/link to large")
        expected = {path: state for path, state in expected.items() if path not in unseen}
    watched = WatchedStore(store)
    told = await check_store(varied_device, watched, quick=quick, **LINKS)
    assert (told.states, told.checked.exit_code) == (expected, 3)
    if quick:
        assert {call.name for call in watched.calls} == {"list"}, "a listing is all that it takes"
        assert told.ways["a/small 5"] == "size"
    one_way = await check_store(varied_device, store, quick=quick, one_way=True, **LINKS)
    assert one_way.states == {path: state for path, state in expected.items() if state != "extra"}


async def test_without_checksums_bytes_are_read_if_asked(store: MemoryStore, varied_device: Path) -> None:
    blind = without_sums(store)
    told = await check_store(varied_device, blind, **LINKS)
    assert set(told.states.values()) == {"unproved"}
    assert "--download" in told.lines["large"]["reason"]
    assert told.checked.exit_code == 3
    told = await check_store(varied_device, blind, download=True, **LINKS)
    assert (told.states, told.ways["large"]) == ({}, "download")
    await put(blind, "z/large", bytes(384 << 10))
    told = await check_store(varied_device, blind, download=True, **LINKS)
    assert told.states == {"z/large": "different"}


async def test_every_byte_is_read_if_asked(store: MemoryStore, varied_device: Path) -> None:
    """A store whose disk has rotted goes on telling the checksum that it keeps."""

    class Rotten(MemoryStore):
        @asynccontextmanager
        async def get(self, key: str, **named: Any) -> AsyncIterator[Any]:
            async with super().get(key, **named) as body:
                yield Zeros(body) if key == "large" else body

    rotten = Rotten(limits=LIMITS)
    rotten._objects = store._objects
    assert (await check_store(varied_device, rotten, **LINKS)).states == {}
    assert (await check_store(varied_device, rotten, download=True, **LINKS)).states == {}
    told = await check_store(varied_device, rotten, download_all=True, **LINKS)
    assert told.states == {"large": "different"}
    assert set(told.ways.values()) == {"download", "empty", "folder"}


@pytest.mark.parametrize(
    ("symlinks", "state", "left_out"),
    [(Symlinks.REPORT, "missing", 0), (Symlinks.SKIP, None, 1), (Symlinks.RCLONE, "same", 0)],
    ids=["report", "skip", "rclone"],
)
async def test_symbolic_links(
    store: MemoryStore, varied_device: Path, symlinks: Symlinks, state: str | None, left_out: int
) -> None:
    if symlinks is not Symlinks.RCLONE:
        await store.delete("symlink.rclonelink")
    told = await check_store(varied_device, store, symlinks=symlinks)
    assert told.lines.get("symlink", {}).get("state") == state
    assert told.states == ({"symlink": "missing"} if state == "missing" else {})
    assert told.checked.symlinks_left_out == left_out


async def test_filters_hold_on_both_sides(store: MemoryStore, varied_device: Path) -> None:
    await put(store, "a/new", b"new")
    await put(store, "new", b"new")
    await put(store, "a/small 4", b"x" * 1000)
    await store.delete("a/small 2")
    told = await check_store(varied_device, store, filter=read_filter(include=["/a/*"]), **LINKS)
    assert told.states == {"a/new": "extra", "a/small 2": "missing", "a/small 4": "different"}
    assert all(path.startswith("a/") for path in told.lines)
    told = await check_store(varied_device, store, filter=read_filter(exclude=["/a/**"]), **LINKS)
    assert told.states == {"new": "extra"}
    told = await check_store(varied_device, store, filter=read_filter(min_size="500B"), **LINKS)
    assert told.states == {"a/small 4": "different"}


async def test_a_marker_of_a_folder_with_something_in_it_is_no_news(
    store: MemoryStore, varied_device: Path
) -> None:
    await put(store, "a/", b"")
    await put(store, "z/", b"with content")
    told = await check_store(varied_device, store, **LINKS)
    assert told.states == {"z/": "extra"}


async def test_under_a_prefix_and_nothing_beside_it(tmp_path: Path) -> None:
    device = path_device(tmp_path / "d", {b"a": b"1", b"b": b"2"})
    store = MemoryStore()
    for key in ("p/", "p/a", "p/b", "p", "pa", "q/a"):
        await put(store, key, b"1" if key.endswith("a") else b"2" if key.endswith("b") else b"")
    told = await check_store(device, store, "p/")
    assert (told.states, set(told.lines)) == ({}, {"a", "b"})


async def test_an_endpoint_that_is_lost_ends_it(store: MemoryStore, varied_device: Path) -> None:
    watched = WatchedStore(store, nth=9, then=StoreUnreachableError("gone"))
    with pytest.raises(StoreUnreachableError):
        await check_store(varied_device, watched, requests=2, **LINKS)


async def test_an_object_that_cannot_be_asked_for_is_unproved(
    store: MemoryStore, varied_device: Path
) -> None:
    class Reluctant(MemoryStore):
        async def head(self, key: str, **version: str | None) -> ObjectInfo:
            if key == "large":
                raise StoreError("no", status=400)
            return await super().head(key, **version)

    other = Reluctant(limits=LIMITS)
    other._objects = store._objects
    told = await check_store(varied_device, other, **LINKS)
    assert told.states == {"large": "unproved"}


OBJECTS = {
    b"a": b"1", b"a/": b"", b"a//b": b"2", b"/lead": b"3", b"..": b"4", b"d/": b"", b"e/": b"content",
    b"%2F": b"5", "ü\U0001f600".encode(): b"6", b"big": bytes(200_000),
}  # fmt: skip


async def exported_to(objects: dict[bytes, bytes], prefix: str = "") -> MemoryStore:
    store = MemoryStore()
    for key, body in objects.items():
        await put(store, prefix + key.decode(), body)
    return store


async def test_exported_objects_are_found_by_their_keys(tmp_path: Path) -> None:
    device = keyed_device(tmp_path / "d", OBJECTS)
    store = await exported_to(OBJECTS, "p/")
    told = await check_store(device, store, "p/")
    assert (told.states, len(told.lines)) == ({}, len(OBJECTS))
    keys = [key.decode() for key in OBJECTS]
    for gone in (keys[::2], keys[1::2]):
        changed = deepcopy(store)
        for key in gone:
            await changed.delete("p/" + key)
        assert (await check_store(device, changed, "p/")).states == dict.fromkeys(gone, "missing")
    await put(store, "p/a///b", b"2")
    assert (await check_store(device, store, "p/")).states == {"a///b": "extra"}


async def test_the_etag_of_the_export_counts_where_there_is_nothing_better(tmp_path: Path) -> None:
    store = await exported_to({b"key": b"content"})
    etag = (await store.head("key")).etag
    device = keyed_device(tmp_path / "d", {b"key": b"content"}, etag=etag)
    told = await check_store(device, store)
    assert told.ways == {"key": "crc64nvme"}
    told = await check_store(device, without_sums(store))
    assert told.ways == {"key": "etag"}
    told = await check_store(device, without_sums(store), download=True)
    assert told.ways == {"key": "download"}
    told = await check_store(device, store, quick=True)
    assert told.ways == {"key": "etag"}
    await put(store, "key", b"CONTENT")
    assert (await check_store(device, without_sums(store))).states == {"key": "unproved"}
    assert (await check_store(device, store, quick=True)).ways == {"key": "size"}


class Sha(MemoryStore):
    """A store that has another checksum of its objects than ours."""

    sum = "b25l"

    async def head(self, key: str, **version: str | None) -> ObjectInfo:
        info = await super().head(key, **version)
        return replace(info, crc64nvme=None, crc32c=None, checksums={"SHA256": self.sum})


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        ("b25l", "b25l", "checksum"),
        ("b25l-2", "b25l-2", "checksum"),
        ("b25l", "dHdv", "different"),
        ("b25l", "dHdv-2", "unproved"),
        ("b25l-2", "dHdv-2", "unproved"),
    ],
)
async def test_another_checksum_that_the_export_saw(
    tmp_path: Path, ours: str, theirs: str, told: str
) -> None:
    store = Sha()
    store.sum = theirs
    await put(store, "key", b"content")
    device = keyed_device(tmp_path / "d", {b"key": b"content"}, checksums={"SHA256": ours})
    line = (await check_store(device, store)).lines["key"]
    assert line.get("how", line["state"]) == told


async def test_a_right_etag_does_not_outweigh_a_wrong_checksum(tmp_path: Path) -> None:
    store = await exported_to({b"key": b"CONTENT"})
    etag = (await store.head("key")).etag
    device = keyed_device(tmp_path / "d", {b"key": b"content"}, etag=etag)
    assert (await check_store(device, store)).states == {"key": "different"}


async def test_flat_memory_and_no_more_than_asked_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """40,000 entries of a device and as many objects: a few hundred of either are held at a time."""
    import resource

    from tests.golden.build import sums
    from transfer.core.records import File
    from transfer.jobs.check.devices import Devices

    count, empty = 40_000, sums(b"")
    taken, most = [0, 0], 0
    stat = {"mode": 0, "mtime_ns": 0, "uid": 0, "gid": 0}

    def entries(self: Devices):  # type: ignore[no-untyped-def]
        for number in range(count):
            path = f"{number:08}"
            taken[0] += 1
            yield path.encode(), File(path=path, size_bytes=0, **empty, **stat), (0, 0)

    class Many(MemoryStore):
        async def list(self, prefix: str = "", *, start_after: str = ""):  # type: ignore[no-untyped-def]
            for number in range(0, count, 2):
                taken[1] += 2
                yield ListedObject(f"{number:08}", 0, "", None, None)
                yield ListedObject(f"{number:08}x", 1, "", None, None)

    def observe(progress: Progress) -> None:
        nonlocal most
        most = max(most, taken[0] - progress.files_done, taken[1] - progress.files_done)

    monkeypatch.setattr(Devices, "entries", entries)
    device = path_device(tmp_path / "d", {b"a": b"1"})
    from transfer.jobs.check.job import BucketPlace, Check
    from transfer.jobs.check.options import CheckOptions

    options = CheckOptions(quick=True)
    check = Check([str(device)], BucketPlace(Many(), "memory"), options, observe=observe)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    checked = await check.run()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert checked.states == {"missing": count // 2, "extra": count // 2}
    assert checked.same == {"empty": count // 2}
    assert len(checked.first) == 1000
    assert most <= 2 * 256
    assert grown < 100_000, "KiB, most of it for opening the device"


async def test_what_never_came_onto_the_device(tmp_path: Path) -> None:
    """It is told once: as that, or as extra where the bucket has it; and no more is done than there is."""
    told_of: list[Progress] = []
    objects = [
        plain("arch/a", b"1"),
        Skipped(path="arch/d", reason="archived"), Skipped(path="arch/g", reason="archived"),
        Failed(path="b", reason="io-error", detail="lost"), plain("c", b"2"), plain("e/", b""),
    ]  # fmt: skip
    device = write_objects(tmp_path / "d", objects)
    bodies = {b"arch/a": b"1", b"arch/d": b"x", b"c": b"2", b"e/": b"", b"f": b"", b"g": b"", b"h": b""}
    store = await exported_to(bodies)
    told = await check_store(device, store, observe=told_of.append)
    assert told.states == dict.fromkeys(["arch/d", "f", "g", "h"], "extra")
    assert told.lines["arch/d"]["reason"] == "not on the device: archived at the source"
    assert [one.path for one in told.checked.not_on_device_first] == ["arch/g", "b"]
    assert told.checked.not_on_device == 2
    last = told_of[-1]
    assert (last.files_done, last.files_total, last.failures) == (3, 3, 0)
    one_way = await check_store(device, store, one_way=True)
    assert (one_way.states, one_way.checked.not_on_device) == ({}, 3)
    quick = await check_store(device, store, quick=True)
    assert quick.states == told.states


async def test_what_failed_later_is_compared_as_it_was(tmp_path: Path) -> None:
    device = write_objects(tmp_path / "d", [plain("a", b"1")], [Failed(path="a", reason="io-error")])
    told = await check_store(device, await exported_to({b"a": b"1"}))
    assert (told.states, told.checked.not_on_device) == ({}, 1)


async def listing_device(place: Path, store: MemoryStore, objects: dict[bytes, bytes]) -> Path:
    """A copy of a folder that objects were restored into: each with the ETag that the list says it had."""
    lines = HEAD_LINE
    for key, body in sorted(objects.items()):
        name, digest = key.decode(), blake3(body).hexdigest()
        facts = ObjectFacts(etag=(await store.head(name)).etag)
        lines += encode_object_line(
            ObjectLine(path=f"{name}%", key=name, size_bytes=len(body), blake3=digest, object=facts)
        )
    files = {key + b"%": body for key, body in objects.items()}
    return path_device(place, {OBJECTS_NAME.encode(): lines, **files, b"z new": b"new"}, {b"b%": b"CHANGED"})


async def test_the_etags_of_a_list_of_objects_count_too(tmp_path: Path) -> None:
    """But not of a file that has other content since than it had as an object."""
    store = await exported_to({b"a": b"content", b"b": b"content", b"z new": b"new"})
    device = await listing_device(tmp_path / "d", store, {b"a": b"content", b"b": b"content"})
    blind = without_sums(store)
    told = await check_store(device, blind, objects=True)
    assert (told.ways, told.states) == ({"a%": "etag"}, {"b%": "unproved", "z new": "unproved"})
    assert told.lines["b%"].get("size_bytes") == len(b"CHANGED")
    assert (await check_store(device, store, objects=True)).states == {"b%": "different"}
    quick = await check_store(device, store, objects=True, quick=True)
    assert quick.ways == {"a%": "etag", "b%": "size", "z new": "size"}
    await put(store, "a", b"CONTENT")
    assert (await check_store(device, blind, objects=True)).states["a%"] == "unproved"


def versioned_device(place: Path) -> Path:
    """Keys with several versions, oldest first; the newest of `gone` says that it was deleted."""
    device = prepare(place, document())
    run = Run(device, 1, 0, "2024-01-01T00:00:00Z", source="s3://source/", keys=True)

    def version(key: bytes, data: bytes, day: int) -> None:
        facts = {"version_id": f"v{day}", "last_modified": f"2024-01-0{day}T00:00:00Z", "history": True}
        run.batch(exported(key, data, "", **facts))

    version(b"back", b"old", 1)
    run.loose(DeleteMarker(path="back", version_id="v2", last_modified="2024-01-02T00:00:00Z"))
    version(b"back", b"new", 3)
    version(b"gone", b"old", 1)
    run.loose(DeleteMarker(path="gone", version_id="v2", last_modified="2024-01-02T00:00:00Z"))
    version(b"twice", b"old", 1)
    version(b"twice", b"new", 2)
    run.writer.finish()
    seal(place)
    return place


async def test_of_versions_the_newest_counts(tmp_path: Path) -> None:
    device = versioned_device(tmp_path / "d")
    store = await exported_to({b"back": b"new", b"twice": b"new"})
    told = await check_store(device, store)
    assert (told.states, set(told.lines)) == ({}, {"back", "twice"})
    assert told.checked.older_versions == 5, "three old versions, two delete markers"
    told = await check_store(device, store, filter=read_filter(include=["b*"]))
    assert told.checked.older_versions == 2
    await put(store, "twice", b"old")
    await put(store, "gone", b"old")
    assert (await check_store(device, store)).states == {"gone": "extra", "twice": "different"}


def test_of_versions_in_a_folder_too(tmp_path: Path) -> None:
    device, folder = versioned_device(tmp_path / "d"), tmp_path / "folder"
    folder.mkdir()
    for name in ("back", "twice"):
        (folder / name).write_bytes(b"new")
    told = check_folder(device, folder)
    assert (told.states, told.checked.older_versions) == ({}, 5)
    said = transfer("check", device, folder, "--no-progress")
    assert (said.code, "5 older ones and delete markers were not" in said.stdout) == (0, True)
    (folder / "gone").write_bytes(b"old")
    assert check_folder(device, folder).states == {"gone": "extra"}
