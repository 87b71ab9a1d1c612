"""Exports that meet trouble: objects that change, vanish, are archived or damaged; stores that are lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from blake3 import blake3

from tests.jobs.copy.copying import findings, recover
from tests.jobs.encrypted import age_key
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
from tests.jobs.shipment import transfer, write_profile
from transfer.core.object_metadata import ObjectMetadata
from transfer.core.records import File
from transfer.errors import AccessError, NotFoundError, StoreUnreachableError
from transfer.jobs.export.work import Restoring
from transfer.stores.memory import MemoryStore

LARGE = bytes(range(256)) * 3000  # twelve chunks of 64 KiB
OTHER = LARGE[::-1]


@pytest.fixture
def device(tmp_path: Path) -> Path:
    return new_device(tmp_path / "device")


@pytest.fixture
def store() -> Meddler:
    return Meddler(MemoryStore())


def digest(content: bytes) -> str:
    return blake3(content).hexdigest()


async def test_an_object_that_changes_in_the_middle_is_started_over(
    device: Path, store: Meddler, tmp_path: Path
):
    await put(store.store, "large", LARGE)
    await put(store.store, "z", b"z")

    async def change(key: str, meddler: Meddler) -> None:
        if sum(offset == 5 * CHUNK for _, _, offset in meddler.gets) == 1:
            meddler.before = None
            await put(meddler.store, "large", OTHER)

    store.before = change
    result = await export_from(store, device)
    assert not result.is_partial
    assert [(one.kind, one.path) for one in result.problems] == [("anew", b"large")]
    assert objects(device)["large"].blake3 == digest(OTHER)
    assert findings(device) == set()
    code, _ = recover(device, tmp_path / "out")
    assert (code, (tmp_path / "out/large").read_bytes() == OTHER) == (0, True)


async def test_one_that_changes_again_and_again_is_reported_and_tried_by_the_next_run(
    device: Path, store: Meddler
):
    await put(store.store, "large", LARGE)
    await put(store.store, "z", b"z")
    count = 0

    async def change(key: str, meddler: Meddler) -> None:
        nonlocal count
        if meddler.gets[-1][2] == 6 * CHUNK:
            count += 1
            await put(meddler.store, "large", LARGE + bytes(count))

    store.before = change
    result = await export_from(store, device)
    assert (result.failed, troubles(device), count) == (1, {"large": "changed"}, 2)
    assert list(objects(device)) == ["z"]
    assert findings(device) == set()
    store.before = None
    result = await export_from(store, device)
    assert (result.files, troubles(device)) == (1, {})
    assert objects(device)["large"].blake3 == digest(LARGE + bytes(2))


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
async def test_damage_on_the_way_is_found_and_fetched_again(device: Path, store: Meddler, content: bytes):
    await put(store.store, "k", content)
    store.damage["k"] = 1
    result = await export_from(store, device)
    assert (result.is_partial, objects(device)["k"].blake3) == (False, digest(content))
    assert store.damage["k"] == 0
    assert findings(device) == set()


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
async def test_bytes_that_are_not_those_of_the_checksum_are_never_stored(
    device: Path, store: Meddler, content: bytes
):
    await put(store.store, "k", content)
    await put(store.store, "z", b"z")
    store.damage["k"] = 10**6
    result = await export_from(store, device)
    assert (result.failed, troubles(device)) == (1, {"k": "checksum-mismatch"})
    assert list(objects(device)) == ["z"]
    assert findings(device) == set()


async def test_archived_objects_are_told_and_taken_when_they_were_restored(device: Path, store: Meddler):
    for key, content in (("cold", b"cold"), ("cold large", LARGE)):
        await put(store.store, key, content, ObjectMetadata(storage_class="GLACIER"))
    await put(store.store, "warm", b"warm")
    result = await export_from(store, device)
    assert (result.skipped, list(objects(device))) == (2, ["warm"])
    assert troubles(device) == dict.fromkeys(("cold", "cold large"), "archived")
    asked: list[tuple[str, int, str]] = []

    async def request_restore(key: str, *, days: int, tier: str, **more: object) -> None:
        asked.append((key, days, tier))
        await store.store.request_restore(key, days=days, tier=tier)  # type: ignore[arg-type]

    store.request_restore = request_restore  # type: ignore[attr-defined]
    result = await export_from(store, device, restoring=Restoring(3, "Bulk"))
    assert sorted(asked) == [("cold", 3, "Bulk"), ("cold large", 3, "Bulk")]
    assert all("requested" in problem.detail for problem in result.problems)
    store.store.complete_restores()
    result = await export_from(store, device)
    assert (result.files, troubles(device)) == (2, {})
    assert objects(device)["cold large"].blake3 == digest(LARGE)
    assert findings(device) == set()


async def test_what_vanished_since_it_was_listed_is_recorded(device: Path, store: Meddler):
    for key in ("a", "b", "c"):
        await put(store.store, key, b"x")

    async def vanish(key: str, meddler: Meddler) -> None:
        if key == "b":
            raise NotFoundError("GET s3://bucket/b: 404 NoSuchKey", status=404, code="NoSuchKey")

    store.before = vanish
    result = await export_from(store, device)
    assert (result.failed, troubles(device)) == (1, {"b": "vanished"})
    store.before = None
    await export_from(store, device)
    assert (troubles(device), list(objects(device))) == ({}, ["a", "b", "c"])


async def test_one_denied_object_fails_and_wrong_credentials_end_the_run(device: Path, store: Meddler):
    for key in ("a", "b", "c"):
        await put(store.store, key, b"x")

    async def deny(key: str, meddler: Meddler) -> None:
        if key == "b":
            raise AccessError("GET s3://bucket/b: 403 AccessDenied", code="AccessDenied")

    store.before = deny
    await export_from(store, device)
    assert (troubles(device), list(objects(device))) == ({"b": "unreadable"}, ["a", "c"])

    async def expire(key: str, meddler: Meddler) -> None:
        raise AccessError("GET: 400 ExpiredToken", code="ExpiredToken")

    store.before = expire
    with pytest.raises(AccessError):
        await export_from(store, device)


async def test_where_nothing_may_be_read_the_run_ends(
    device: Path, store: Meddler, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("transfer.jobs.export.bucket._MAX_DENIED", 30)
    for number in range(60):
        await put(store.store, f"k{number:02}", b"x")

    async def deny(key: str, meddler: Meddler) -> None:
        raise AccessError("GET s3://bucket/k: 403 AccessDenied", code="AccessDenied")

    store.before = deny
    with pytest.raises(AccessError, match="none of the first"):
        await export_from(store, device)
    store.before = None
    assert (
        await export_from(store, device)
    ).failed == 20  # that the run has recorded; the next one tries them
    assert not (await export_from(store, device)).is_partial
    assert len(objects(device)) == 60


async def test_one_that_outgrew_its_batch_comes_in_another_pass(device: Path, store: Meddler):
    await put(store.store, "k", b"small")

    async def grow(key: str, meddler: Meddler) -> None:
        meddler.before = None
        await put(meddler.store, "k", LARGE)

    store.before = grow
    result = await export_from(store, device)
    assert (result.is_partial, troubles(device)) == (False, {})
    assert objects(device)["k"].blake3 == digest(LARGE)
    assert findings(device) == set()


async def _lost_at(store: Meddler, device: Path, nth: int, **options: object) -> None:
    """Export until the nth get, which finds the store gone."""
    store.gets.clear()

    async def lose(key: str, meddler: Meddler) -> None:
        if len(meddler.gets) >= nth:
            raise StoreUnreachableError("GET s3://bucket: no answer")

    store.before = lose
    with pytest.raises(StoreUnreachableError):
        await export_from(store, device, **options)
    store.before = None
    store.gets.clear()


async def test_a_lost_store_leaves_a_device_that_goes_on(device: Path, store: Meddler):
    for number in range(60):
        await put(store.store, f"k{number:02}", b"%d" % number)
    await _lost_at(store, device, 45)
    done = set(objects(device))
    result = await export_from(store, device)
    assert result.resumed_after is not None
    assert set(store.fetched()).isdisjoint(done)
    assert len(objects(device)) == 60
    assert {header.run for header in manifest_of(device).headers} == {1}
    assert findings(device) == set()


async def test_inside_a_large_object_only_the_rest_is_fetched(device: Path, store: Meddler, tmp_path: Path):
    await put(store.store, "large", LARGE)
    await put(store.store, "z", b"z")
    await _lost_at(store, device, 9)
    done = sum(header.pack_size_bytes > 0 for header in manifest_of(device).headers)
    assert done and not objects(device)
    result = await export_from(store, device)
    assert (result.is_partial, result.resumed_after) == (False, b"large")
    offsets = [offset for key, _, offset in store.gets if key == "large"]
    assert offsets and min(offsets) >= CHUNK
    assert objects(device)["large"].blake3 == digest(LARGE)
    assert findings(device) == set()


@pytest.mark.parametrize("tells_sums", [True, False], ids=["with sums", "without sums"])
async def test_a_large_object_that_is_another_by_then_is_begun_anew(
    device: Path, store: Meddler, tells_sums: bool
):
    store.tells_sums = tells_sums
    await put(store.store, "large", LARGE)
    await _lost_at(store, device, 9)
    await put(store.store, "large", OTHER)
    assert not (await export_from(store, device)).is_partial
    assert objects(device)["large"].blake3 == digest(OTHER)
    assert findings(device) == set()


async def test_a_large_object_that_is_gone_by_then_is_told(device: Path, store: Meddler):
    await put(store.store, "large", LARGE)
    await put(store.store, "z", b"z")
    await _lost_at(store, device, 9)
    await store.store.delete("large")
    result = await export_from(store, device)
    assert (result.failed, troubles(device), list(objects(device))) == (1, {"large": "vanished"}, ["z"])
    assert findings(device) == set()


async def test_of_an_encrypted_device_the_beginning_is_fetched_again_and_compared(
    store: Meddler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    from transfer.cli.state import state_directory

    device, key = tmp_path / "device", age_key(tmp_path)
    device.mkdir()
    profile = write_profile(tmp_path / "p.toml", pack_size="8MiB", chunk_size="64KiB", batch_size="64KiB")
    arguments = ("--profile", profile, "--job", "test", "-q", "-r", key.recipient)
    ended = await asyncio.to_thread(transfer, "prepare", device, *arguments)
    assert ended.code == 0
    await put(store.store, "large", LARGE)
    state = {"state_directory": state_directory()}
    await _lost_at(store, device, 9, **state)
    assert not (await export_from(store, device, **state)).is_partial
    assert min(offset for _, _, offset in store.gets) == 0
    ended = await asyncio.to_thread(transfer, "verify", device, "--deep", "-q", "--identity", key.path)
    assert ended.code == 0, ended.stderr


@pytest.mark.parametrize("nth", range(2, 30, 3))
async def test_versions_of_a_key_are_complete_wherever_an_export_was_cut(tmp_path: Path, nth: int):
    device = new_device(tmp_path / "device")
    store = Meddler(MemoryStore(versioning="enabled"))
    ids = []
    for number in range(25):
        ids.append(
            await put(
                store.store, "k", LARGE[: CHUNK + 5000 * number] if number % 4 == 1 else b"v%d" % number
            )
        )
        if number % 7 == 6:
            await store.store.delete("k")
    await _lost_at(store, device, nth, history=True)
    result = await export_from(store, device, history=True)
    assert not result.is_partial
    kept = entries(device)
    assert [record.object.version_id for record in kept if isinstance(record, File) and record.object] == ids
    assert len(kept) == 28
    assert findings(device) == set()
