"""Versions of keys: all of them, in order, each once, where the bucket keeps versions."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.jobs.attempts import Site, end_early
from tests.jobs.memory_import import LIMITS, OPTIONS, import_to_memory
from tests.jobs.object_devices import CHUNK, Told, plain, version, write_objects
from tests.jobs.shipment import transfer
from transfer.core.records import Failed
from transfer.core.stream_rules import StreamRules, path_fields
from transfer.device import frame_stream
from transfer.device.device import open_device
from transfer.device.frame_stream import frame_groups
from transfer.errors import AccessError, BusyError, StoreError
from transfer.jobs.import_.options import IfExists
from transfer.stores.checksums import checksums_of
from transfer.stores.contract import ObjectInfo, Versioning
from transfer.stores.memory import MemoryStore

LARGE = bytes(i * 7 % 251 for i in range(3 * CHUNK + 5))
LARGER = LARGE[::-1] + LARGE
Kept = dict[str, list[bytes | None]]


def new_store(versioning: Versioning = "enabled") -> MemoryStore:
    return MemoryStore(limits=LIMITS, versioning=versioning)


async def kept(store: Any) -> Kept:
    """All versions, oldest first; None for a delete marker."""
    found: Kept = {}
    async for one in store.versions():
        body = None
        if not one.is_delete_marker:
            async with store.get(one.key, version_id=one.version_id) as reader:
                body = b"".join([piece async for piece in reader])
        found.setdefault(one.key, []).insert(0, body)
    return found


def expected(*runs: list[Told]) -> Kept:
    found: Kept = {}
    for key, body, _ in [one for run in runs for one in run]:
        found.setdefault(key, []).append(body)
    return found


HISTORY = [
    version("a", 1, b"one"),
    version("a", 2, None),
    version("a", 3, LARGE),
    version("a", 4, b"four"),
    version("a", 5, LARGER),
    version("a", 6, LARGE[::-1]),  # of the size of another
    version("a/b", 1, b"below"),
    version("b", 1, None),
    version("b", 2, b"again"),
    version("b", 3, None),
    version("c", 1, b""),
    version("c", 2, b""),
]


@pytest.mark.parametrize("packs", [False, True], ids=["one pack", "many packs"])
async def test_all_versions_come_in_order_and_once(tmp_path: Path, packs: bool) -> None:
    device = write_objects(tmp_path / "device", HISTORY, packs=packs)
    site = Site(device, tmp_path, new_store(), OPTIONS)
    done, _ = await site.watched()  # its calls overtake each other, where they may
    assert (done.error, done.failed, done.codes) == (None, {}, set())
    assert await kept(site.store) == expected(HISTORY)
    assert (done.outcome.objects, done.outcome.delete_markers) == (9, 3)
    again, watched = await site.watched()
    assert (again.error, again.failed) == (None, {})
    assert await kept(site.store) == expected(HISTORY)
    assert (again.outcome.objects, again.outcome.already, again.outcome.delete_markers) == (9, 9, 3)
    assert watched.named("put", "delete", "create_upload", "head", "get") == []
    assert site.begun() == site.rows("SELECT * FROM upload_versions") == []


async def test_without_a_ledger_what_is_there_is_found_out(tmp_path: Path) -> None:
    device, store = write_objects(tmp_path / "device", HISTORY), new_store()
    for _ in range(2):
        done = await import_to_memory(device, store=store)
        assert (done.error, done.failed) == (None, {})
        assert await kept(store) == expected(HISTORY)
    assert done.outcome.already == 9


class NoSums(MemoryStore):
    async def head(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        info = await super().head(key, version_id=version_id)
        return replace(info, crc64nvme=None, crc32c=None, checksums={})


async def test_a_store_without_checksums_is_read_back(tmp_path: Path) -> None:
    device = write_objects(tmp_path / "device", HISTORY)
    store = NoSums(limits=LIMITS, versioning="enabled")
    for _ in range(2):
        done = await import_to_memory(device, store=store)
        assert (done.error, done.failed) == (None, {})
        assert await kept(store) == expected(HISTORY)


@pytest.mark.parametrize("mode", ["off", "suspended"])
async def test_a_bucket_without_versions_gets_the_newest_alone(tmp_path: Path, mode: Versioning) -> None:
    device, store = write_objects(tmp_path / "device", HISTORY), new_store(versioning=mode)
    for _ in range(2):
        done = await import_to_memory(device, store=store)
        assert (done.error, done.failed) == (None, {})
        assert done.objects == {"a": LARGE[::-1], "a/b": b"below", "c": b""}
        assert (done.outcome.versions_left_out, done.outcome.deleted_left_out) == (8, 1)


@pytest.mark.parametrize("count", [0, 3, 5, 8, 11])
async def test_it_goes_on_where_the_bucket_stands(tmp_path: Path, count: int) -> None:
    """An import of the first so many, whose ledger was lost."""
    store = new_store()
    if count:
        await import_to_memory(write_objects(tmp_path / "first", HISTORY[:count]), store=store)
    done = await import_to_memory(write_objects(tmp_path / "device", HISTORY), store=store)
    assert (done.error, done.failed) == (None, {})
    assert await kept(store) == expected(HISTORY)


async def test_versions_that_a_later_run_brings(tmp_path: Path) -> None:
    first = [version("a", 1, b"1"), version("a", 2, b"2"), version("b", 1, b"1")]
    second = [version("a", 3, LARGE), version("a", 4, None), version("b", 1, b"1"), version("b", 2, b"2")]
    device, store = write_objects(tmp_path / "device", first, second), new_store()
    for _ in range(2):
        done = await import_to_memory(device, store=store)
        assert (done.error, done.failed) == (None, {})
        assert await kept(store) == {"a": [b"1", b"2", LARGE, None], "b": [b"1", b"2"]}
    assert done.outcome.superseded == 1


async def test_a_later_run_waits_for_what_is_under_way(tmp_path: Path) -> None:
    class Slow(MemoryStore):
        async def put(self, key: str, body: Any, **told: Any) -> Any:
            if b"".join(body) == b"2":
                await asyncio.sleep(0.3)
            return await super().put(key, body, **told)

    first = [version("a", 1, b"1"), version("a", 2, b"2"), version("b", 1, b"1")]
    device = write_objects(tmp_path / "device", first, [version("a", 3, b"3")])
    store = Slow(limits=LIMITS, versioning="enabled")
    done = await import_to_memory(device, store=store)
    assert (done.failed, await kept(store)) == ({}, {"a": [b"1", b"2", b"3"], "b": [b"1"]})


async def test_older_versions_that_a_later_run_brings_come_before_newer_ones(tmp_path: Path) -> None:
    """They were in an archive when the first run came by."""
    first = [version("a", 1, b"1"), version("a", 3, LARGE), version("a", 4, None), plain("b", b"alone")]
    second = [version("a", 2, b"2"), version("a", 5, b"5")]
    third = [version("a", 6, b"6")]
    device = write_objects(tmp_path / "device", first, second, third)
    site = Site(device, tmp_path, new_store(), OPTIONS)
    for already in (0, 6):
        done = await site.attempt()
        assert (done.error, done.failed, done.outcome.already) == (None, {}, already)
        assert await kept(site.store) == {"a": [b"1", b"2", LARGE, None, b"5", b"6"], "b": [b"alone"]}
        assert (done.outcome.objects, done.outcome.delete_markers) == (6, 1)


async def test_a_plain_object_of_a_later_run_replaces_all_versions(tmp_path: Path) -> None:
    first = [version("a", 1, b"1"), version("a", 2, LARGE), version("a", 3, None)]
    device, store = write_objects(tmp_path / "device", first, [plain("a", b"alone")]), new_store()
    done = await import_to_memory(device, store=store)
    assert (done.error, done.failed, await kept(store)) == (None, {}, {"a": [b"alone"]})
    assert done.outcome.superseded == 2


async def test_a_delete_marker_that_was_not_made_is_not_claimed(tmp_path: Path) -> None:
    class Reluctant(MemoryStore):
        """As some stores are, it makes no delete marker of a key that is not there."""

        async def delete(self, key: str, *, version_id: str | None = None) -> str | None:
            return await super().delete(key, version_id=version_id) if self._objects.latest(key) else None

    store = Reluctant(limits=LIMITS, versioning="enabled")
    history = [version("b", 1, None), version("b", 2, b"again"), version("b", 3, None)]
    site = Site(write_objects(tmp_path / "device", history), tmp_path, store, OPTIONS)
    for reason in ("tells of no delete marker", "a newer version"):
        done = await site.attempt()
        assert await kept(store) == {"b": [b"again", None]}
        assert (done.outcome.objects, done.outcome.delete_markers, done.outcome.failed) == (1, 1, 1)
        assert reason in done.failed["b"]


class Jumbled(MemoryStore):
    """Delete markers are listed as older than all versions, or as newer: so do stores within one second."""

    markers_are_newer = False

    async def versions(self, *told: Any, **named: Any) -> Any:
        listed = [one async for one in super().versions(*told, **named)]
        for one in sorted(listed, key=lambda one: (one.key, one.is_delete_marker != self.markers_are_newer)):
            yield one


@pytest.mark.parametrize("markers_are_newer", [False, True])
async def test_what_the_ledger_knows_as_made_needs_no_order(tmp_path: Path, markers_are_newer: bool) -> None:
    """Also when more came onto the device, and it was sealed anew."""
    store = Jumbled(limits=LIMITS, versioning="enabled")
    store.markers_are_newer = markers_are_newer
    back = [version("back", number, body) for number, body in enumerate([b"one", None, b"two", None])]
    site = Site(write_objects(tmp_path / "device", back), tmp_path, store, replace(OPTIONS, allow_older=True))
    for attempt in range(2):
        done = await site.attempt()
        assert (done.error, done.failed, done.outcome.delete_markers) == (None, {}, 2)
        assert done.outcome.already == 2 * attempt
    made = [one.version_id async for one in store.versions("back")]
    site.device = write_objects(tmp_path / "later", back, [version("back", 4, b"three")])
    for attempt in range(2):
        done, watched = await site.watched()
        assert (done.error, done.failed, done.outcome.delete_markers) == (None, {}, 2)
        assert (done.outcome.objects, done.outcome.already) == (3, 2 + attempt)
        assert len(watched.named("put")) == 1 - attempt
        assert watched.named("delete", "head", "get") == []
    later = {one.version_id async for one in store.versions("back")}
    assert later > set(made)
    assert len(later) == 5


@pytest.mark.parametrize(
    ("policy", "left", "state"),
    [
        (IfExists.SAME, [b"other"], "failed"),
        (IfExists.FAIL, [b"other"], "failed"),
        (IfExists.SKIP, [b"other"], "skipped"),
        (IfExists.OVERWRITE, [b"other", b"1", b"2"], "objects"),
    ],
)
async def test_what_is_there_already(tmp_path: Path, policy: IfExists, left: list[bytes], state: str) -> None:
    device, store = (
        write_objects(tmp_path / "device", [version("a", 1, b"1"), version("a", 2, b"2")]),
        new_store(),
    )
    await store.put("a", [b"other"], checksums=checksums_of([b"other"]))
    done = await import_to_memory(device, replace(OPTIONS, if_exists=policy), store)
    assert (done.error, await kept(store)) == (None, {"a": left})
    assert getattr(done.outcome, state) == 2


async def test_a_key_that_was_deleted_in_the_bucket_is_written_again(tmp_path: Path) -> None:
    device, store = (
        write_objects(tmp_path / "device", [version("a", 1, b"1"), version("a", 2, b"2")]),
        new_store(),
    )
    await import_to_memory(device, store=store)
    await store.delete("a")
    done = await import_to_memory(device, store=store)
    assert (done.failed, await kept(store)) == ({}, {"a": [b"1", b"2", None, b"1", b"2"]})


async def test_what_was_written_once_and_removed_since_counts_as_written(tmp_path: Path) -> None:
    """A bucket's own rules may remove versions that are not the newest."""
    site = Site(write_objects(tmp_path / "device", HISTORY), tmp_path, new_store(), OPTIONS)
    await site.attempt()
    for one in [one async for one in site.store.versions() if not one.is_latest]:
        await site.store.delete(one.key, version_id=one.version_id)
    left = await kept(site.store)
    done = await site.attempt()
    assert (done.error, done.failed, done.outcome.already) == (None, {}, 9)
    assert await kept(site.store) == left


async def test_where_the_newest_is_there_older_ones_come_too_late(tmp_path: Path) -> None:
    device, store = write_objects(tmp_path / "device", HISTORY[:4]), new_store()
    await store.put("a", [LARGE], checksums=checksums_of([LARGE]))
    done = await import_to_memory(device, store=store)
    assert await kept(store) == {"a": [LARGE, b"four"]}
    assert [failure.key for failure in done.outcome.failures] == ["a", "a"]
    assert "a newer version" in done.failed["a"]
    assert (done.outcome.objects, done.outcome.already) == (2, 1)


@pytest.mark.parametrize("trouble", [BusyError("slow down"), StoreError("no such class", status=400)])
async def test_a_version_that_the_store_refuses_holds_back_newer_ones(
    tmp_path: Path, trouble: StoreError
) -> None:
    class Refusing(MemoryStore):
        refuses = True

        async def put(self, key: str, body: Any, **told: Any) -> Any:
            if self.refuses and b"".join(body) == b"four":
                raise trouble
            return await super().put(key, body, **told)

    store = Refusing(limits=LIMITS, versioning="enabled")
    site = Site(write_objects(tmp_path / "device", HISTORY), tmp_path, store, OPTIONS)
    done = await site.attempt()
    assert await kept(store) == expected(HISTORY) | {"a": [b"one", None, LARGE]}
    reasons = [failure.error for failure in done.outcome.failures]
    assert len(reasons) == 3
    assert all("an older version of it could not be written" in reason for reason in reasons[1:])
    assert done.uploads == []
    store.refuses = False
    done = await site.attempt()
    assert (done.failed, await kept(store)) == ({}, expected(HISTORY))


async def test_a_damaged_version_holds_nothing_back_and_is_told_once_more(tmp_path: Path) -> None:
    device, store = write_objects(tmp_path / "device", HISTORY, packs=True), new_store()
    pack = device / "packs/00000003.tar.zst"
    stored = bytearray(pack.read_bytes())
    stored[stored.index(b"four")] ^= 1
    pack.write_bytes(stored)
    site = Site(device, tmp_path, store, OPTIONS)
    for _ in range(2):
        done = await site.attempt()
        assert list(done.failed) == ["a"]
        assert await kept(store) == expected(HISTORY) | {"a": [b"one", None, LARGE, LARGER, LARGE[::-1]]}


async def test_a_version_that_is_lost_with_a_segment_takes_no_other_with_it(tmp_path: Path) -> None:
    long = Random(1).randbytes(12 * CHUNK)
    history = [version("a", 1, long), version("a", 2, LARGE), version("a", 3, b"3")]
    device, store = write_objects(tmp_path / "device", history), new_store()
    segment = device / "segments/00000001.jsonl.zst"  # in the middle of the first
    stored = bytearray(segment.read_bytes())
    stored[-20] ^= 1
    segment.write_bytes(stored)
    done = await import_to_memory(device, store=store)
    assert done.codes == {"segment-altered"}
    assert list(done.failed) == ["a"]
    assert await kept(store) == {"a": [LARGE, b"3"]}


async def test_a_version_that_the_device_lacks_is_told(tmp_path: Path) -> None:
    lacking = Failed(**path_fields(b"a"), reason="unreadable", detail="version v2")
    device = write_objects(tmp_path / "device", [version("a", 1, b"1"), lacking, version("a", 3, b"3")])
    store = new_store()
    done = await import_to_memory(device, store=store)
    assert done.failed == {"a": "not on the device: unreadable at the source: version v2"}
    assert await kept(store) == {"a": [b"1", b"3"]}


async def test_where_versions_must_not_be_listed_the_ledger_is_asked(tmp_path: Path) -> None:
    class Blind(MemoryStore):
        @property
        def bucket(self) -> MemoryStore:
            """The same, seen."""
            seen = MemoryStore(versioning="enabled")
            seen._objects = self._objects
            return seen

        async def versions(self, *_: Any, **__: Any) -> Any:
            denied: list[Any] = []
            for one in denied:
                yield one
            raise AccessError("denied")

    store = Blind(limits=LIMITS, versioning="enabled")
    site = Site(write_objects(tmp_path / "device", HISTORY), tmp_path, store, OPTIONS)
    for already in (0, 9):
        done = await site.attempt()
        assert (done.error, done.failed, done.outcome.already) == (None, {}, already)
        assert await kept(store.bucket) == expected(HISTORY)


async def test_an_upload_is_that_of_one_version(tmp_path: Path) -> None:
    """One that was left open is not taken for another version of its key, though that is as long."""
    history = [version("a", 1, LARGE), version("a", 2, LARGE[::-1])]
    device = write_objects(tmp_path / "device", history)
    for nth in range(1, 30):
        place = tmp_path / str(nth)
        place.mkdir()
        site, watched = await end_early(Site(device, place, new_store(), OPTIONS), "lost", nth, after=True)
        if watched.struck is not None and watched.struck.name == "put_part":
            break
    left = await site.left()
    assert len(left) == 1
    site.change("UPDATE upload_versions SET position = position + 1")
    done, watched = await site.watched()
    assert (done.failed, await kept(site.store), await site.left()) == ({}, expected(history), [])
    assert [call.upload_id for call in watched.named("abort_upload")] == [left[0][1]]


@pytest.mark.parametrize("way", ["lost", "cancelled", "killed"])
async def test_an_attempt_that_ended_early_goes_on(tmp_path: Path, way: str, no_loose_ends: None) -> None:
    """At any call: nothing comes twice, nothing out of order; an answer may be lost."""
    device = write_objects(tmp_path / "device", HISTORY)
    for after in (False, True):
        nth = 1
        while True:
            place = tmp_path / f"{way} {nth} {after}"
            place.mkdir()
            site, watched = await end_early(Site(device, place, new_store(), OPTIONS), way, nth, after=after)
            if watched.struck is None:
                break
            before = await kept(site.store)
            assert all(body == expected(HISTORY)[key][: len(body)] for key, body in before.items())
            done = await site.attempt()
            assert (done.error, done.failed) == (None, {}), (nth, watched.struck)
            assert await kept(site.store) == expected(HISTORY), (nth, watched.struck)
            assert await site.left() == site.begun() == []
            nth += 31


@given(st.data())
@settings(max_examples=8)
def test_any_history_arrives_as_it_is(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    bodies = st.sampled_from([None, b"", b"x", b"y", LARGE])
    told = [
        version(key, number, body)
        for key in ("k", "k/", "l")
        for number, body in enumerate(data.draw(st.lists(bodies, max_size=5)))
    ]
    cut = data.draw(st.integers(0, len(told)))
    place = tmp_path_factory.mktemp("any")

    async def law() -> None:
        store = new_store()
        if cut:
            await import_to_memory(write_objects(place / "before", told[:cut]), store=store)
        if told:
            done = await import_to_memory(write_objects(place / "device", told), store=store)
            assert (done.error, done.failed) == (None, {})
        assert await kept(store) == expected(told)

    asyncio.run(law())


def test_any_number_of_delete_markers_may_stand_behind_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a bucket has them whose versions were removed by its own rules."""
    most = 1_000
    monkeypatch.setattr(frame_stream, "MAX_MARKERS", most)
    count = 2 * most + 10
    orphans = [version(f"k{number:06}", 1, None) for number in range(count)]
    last = [version("l", 1, b"1"), version("l", 2, None), version("l", 3, b"3")]
    device = write_objects(tmp_path / "device", [version("a", 1, b"a"), *orphans, *last])
    rules = StreamRules(CHUNK)
    groups = [group for group in frame_groups(open_device(str(device)), 0, rules) if group.records]
    assert max(len(group.records) for group in groups) <= most + 1
    told = [record.path for group in groups for record in group.records]
    assert told == ["a", *(key for key, _, _ in orphans), "l", "l", "l"]
    assert transfer("verify", device, "--deep", "-q").code == 0
