"""Exports over several devices of a job."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.jobs.copy.copying import findings
from tests.jobs.copy.test_span import device_of
from tests.jobs.export.exporting import Meddler, entries, export_from, objects, put, troubles
from transfer.core.records import File
from transfer.errors import UsageError
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
