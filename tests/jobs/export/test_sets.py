"""Exports over several devices of a job."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests.jobs.copy.copying import findings, run
from tests.jobs.copy.test_span import device_of
from tests.jobs.export.exporting import Meddler, entries, export_from, objects, put, troubles
from tests.jobs.memory_import import LIMITS, OPTIONS, import_to_memory
from transfer.core.records import File
from transfer.errors import UsageError
from transfer.jobs.import_.options import IfExists
from transfer.stores.memory import MemoryStore

LARGE = random.Random(1).randbytes(600_000)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
async def store() -> Meddler:
    """About 4 MiB."""
    made, noise = Meddler(MemoryStore()), random.Random(2)
    for number in range(60):
        await put(made.store, f"k{number:02}", noise.randbytes(40_000))
    for number in range(3):
        await put(made.store, f"k{number * 20:02}.large", LARGE)
    return made


@pytest.mark.parametrize("stripe", [False, True], ids=["one after another", "striped"])
async def test_each_object_is_whole_on_one_of_the_devices(store: Meddler, tmp_path: Path, stripe: bool):
    devices = [device_of(tmp_path, ordinal) for ordinal in (1, 2, 3)]
    memory = {"state_directory": str(tmp_path / "state")}
    result = await export_from(store, *devices, stripe=stripe, **memory)
    assert (result.full, result.is_partial) == (False, False)
    held = [set(objects(device)) for device in devices]
    assert sum(map(len, held)) == len(set().union(*held)) == 63
    assert all(findings(device) == set() for device in devices)
    store.gets.clear()
    again = await export_from(store, *devices, stripe=stripe, **memory)
    assert (store.gets, again.files, again.packs) == ([], 0, 0)


async def test_versions_of_a_key_go_on_on_the_next_device(tmp_path: Path):
    store, noise = Meddler(MemoryStore(versioning="enabled")), random.Random(3)
    ids = [
        await put(store.store, "k", noise.randbytes(45_000 + 30_000 * (number % 3))) for number in range(40)
    ]
    devices = [device_of(tmp_path, ordinal) for ordinal in (1, 2, 3)]
    result = await export_from(store, *devices, history=True, state_directory=str(tmp_path / "state"))
    assert not result.full
    held = [
        [record.object.version_id for record in entries(device) if isinstance(record, File) and record.object]
        for device in devices
    ]
    assert [version for part in held for version in part] == ids
    assert len(held[0]) > 5
    assert all(findings(device) == set() for device in devices)


async def test_versions_go_on_on_another_day_and_come_back_in_order(tmp_path: Path):
    """The earlier device is not there: the host knows which version comes next, also after new ones came."""
    store, noise = Meddler(MemoryStore(versioning="enabled")), random.Random(3)
    for number in range(30):
        await put(store.store, "k", noise.randbytes(45_000 + 30_000 * (number % 3)))
    await put(store.store, "z", b"z")
    devices, memory = [device_of(tmp_path, ordinal) for ordinal in (1, 2)], str(tmp_path / "state")
    results = [await export_from(store, devices[0], history=True, state_directory=memory)]
    await put(store.store, "k", b"newer")
    results.append(await export_from(store, devices[1], history=True, state_directory=memory))
    assert [result.full for result in results] == [True, False]
    again = await export_from(store, *devices, history=True, state_directory=memory)
    assert (again.packs, again.files) == (0, 0)
    target = MemoryStore(versioning="enabled", limits=LIMITS)
    for device in devices:
        assert findings(device) == set()
        assert (await asyncio.to_thread(run, "seal", device)).code == 0
        # More than a device holds; so what the second one has comes behind what is there already.
        options = replace(OPTIONS, if_exists=IfExists.OVERWRITE)
        done = await import_to_memory(device, options, store=target, ledger=tmp_path / "ledger")
        assert (done.error, done.failed) == (None, {})
    assert await contents(target) == await contents(store.store)


@pytest.mark.parametrize("sizes", [(6_000,), (60_000,), (150_000, 3_000)], ids=["small", "many", "large"])
async def test_versions_that_fit_on_a_device_stay_together(tmp_path: Path, sizes: tuple[int, ...]):
    store, noise = Meddler(MemoryStore(versioning="enabled")), random.Random(3)
    while sum(len(data) for _, data in await contents(store.store)) < 2_700_000:
        key = f"k{noise.randrange(10**6):06}"
        for number in range(noise.randrange(4, 9)):
            await put(store.store, key, noise.randbytes(sizes[number % len(sizes)]))
    devices = [device_of(tmp_path, ordinal) for ordinal in (1, 2, 3)]
    result = await export_from(store, *devices, history=True, state_directory=str(tmp_path / "state"))
    assert (result.full, result.is_partial) == (False, False)
    held = [{record.path for record in entries(device)} for device in devices]
    assert sum(map(len, held)) == len(set().union(*held))
    assert held[0] and held[1]
    target = MemoryStore(versioning="enabled", limits=LIMITS)
    for device in reversed(devices):
        if (await asyncio.to_thread(run, "seal", device)).document["packs"]:
            done = await import_to_memory(device, store=target, ledger=tmp_path / "ledger")
            assert (done.error, done.failed) == (None, {})
    assert await contents(target) == await contents(store.store)


async def contents(store: MemoryStore) -> list[tuple[str, bytes]]:
    """All versions, in the store's order."""
    found = []
    async for version in store.versions():
        async with store.get(version.key, version_id=version.version_id) as body:
            found.append((version.key, b"".join([piece async for piece in body])))
    return found


async def test_an_object_larger_than_every_device_is_told_by_name(tmp_path: Path):
    store = MemoryStore()
    await put(store, "huge", bytes(1) + random.Random(1).randbytes(3 << 20))
    await put(store, "z", b"z")
    device = device_of(tmp_path, 1)
    result = await export_from(store, device, state_directory=str(tmp_path / "state"))
    assert (result.failed, troubles(device), list(objects(device))) == (1, {"huge": "too-large"}, ["z"])


async def test_versions_are_not_striped(tmp_path: Path):
    devices = [device_of(tmp_path, ordinal) for ordinal in (1, 2)]
    store = MemoryStore(versioning="enabled")
    with pytest.raises(UsageError, match="stripe"):
        await export_from(store, *devices, history=True, stripe=True)
