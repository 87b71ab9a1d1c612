"""The N-th call to the store fails, for N = 1, 2, ... until none is left to fail.

After each: nothing in the bucket differs from the source, what is not there is listed, no upload is left that
was not named. Then the import is run again, and the bucket is as if nothing had happened.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.jobs.faulty_store import FaultyStore
from tests.jobs.shipment import files_of, make_device, write_profile
from tests.simulators.trees import large_file
from transfer.core.object_metadata import ObjectMetadata
from transfer.core.s3_limits import AWS_LIMITS
from transfer.errors import AccessError, StoreError, TransferError
from transfer.jobs.import_.health import FAILURES_IN_A_ROW
from transfer.jobs.import_.job import Import
from transfer.jobs.import_.options import ImportOptions, Symlinks
from transfer.jobs.import_.outcome import Outcome
from transfer.stores.memory import MemoryStore

KIB = 1024
LIMITS = replace(AWS_LIMITS, part_min_bytes=64 * KIB, part_max_bytes=128 * KIB)
OPTIONS = ImportOptions(
    bucket="memory", limits=LIMITS, symlinks=Symlinks.RCLONE, memory_bytes=192 * KIB, requests=3
)
ERRORS = {
    "transient": StoreError("it is broken", status=500, code="InternalError"),
    "refused": StoreError("it is refused", status=400, code="InvalidArgument"),
    "denied": AccessError("it is denied"),
}
Held = dict[str, tuple[bytes, ObjectMetadata]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source")
    for folder in ("a/b", "empty/inner", "z"):
        (root / folder).mkdir(parents=True)
    for number in range(12):
        (root / f"a/small {number}").write_bytes(b"%d" % number * number)
    for name, size in (("a/b/one part", 65 * KIB), ("large", 500 * KIB + 3), ("z/large", 384 * KIB)):
        large_file(os.fsencode(root / name), size, seed=size)
    os.link(root / "large", root / "z/link to large")
    os.link(root / "a/small 3", root / "z/link to small")
    (root / "symlink").symlink_to("a/small 1")
    return root


@pytest.fixture(scope="module")
def device(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("device")
    sizes = {"pack_size": "512KiB", "chunk_size": "64KiB", "batch_size": "64KiB"}
    return make_device(place / "device", source, write_profile(place / "tiny.toml", **sizes))


async def _held(store: MemoryStore) -> Held:
    held: Held = {}
    async for item in store.list():
        async with store.get(item.key) as body:
            held[item.key] = b"".join([piece async for piece in body]), body.info.metadata
    return held


async def _uploads(store: MemoryStore) -> list[str]:
    return [upload.key async for upload in store.list_uploads()]


async def _import(device: Path, store: object) -> tuple[Outcome, TransferError | None]:
    job = Import(os.fspath(device), store, OPTIONS)  # type: ignore[arg-type]
    try:
        return await job.run(), None
    except TransferError as error:
        return job.outcome, error


@pytest.fixture
async def undisturbed(device: Path, source: Path) -> Held:
    store = MemoryStore(limits=LIMITS)
    outcome, error = await _import(device, store)
    assert (error, outcome.failures, outcome.findings) == (None, [], [])
    held = await _held(store)
    folders = {"empty/inner/": b""}
    links = {"symlink.rclonelink": b"a/small 1"}
    assert {key: body for key, (body, _) in held.items()} == files_of(source) | folders | links
    return held


@pytest.mark.parametrize("after", [False, True], ids=["not done", "answer lost"])
@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.usefixtures("no_loose_ends")
async def test_every_call_may_fail(device: Path, undisturbed: Held, kind: str, after: bool) -> None:
    nth = 0
    while True:
        nth += 1
        store = MemoryStore(limits=LIMITS)
        faulty = FaultyStore(store, nth, ERRORS[kind], after=after)
        outcome, error = await _import(device, faulty)
        if not faulty.fired:
            break
        await _check(store, faulty, outcome, error, undisturbed)
        again, error = await _import(device, store)
        assert (error, again.failures) == (None, [])
        assert await _held(store) == undisturbed
    assert nth > 20, "so few calls: the source does not try much"
    assert await _held(store) == undisturbed
    assert faulty.at_once > 1, "the calls of this test never overlap"


async def _check(
    store: MemoryStore,
    faulty: FaultyStore,
    outcome: Outcome,
    error: TransferError | None,
    undisturbed: Held,
) -> None:
    where = f"call {len(faulty.calls)}, {faulty.fired}"
    held = await _held(store)
    assert held.items() <= undisturbed.items(), where
    if faulty.fired == "probe":
        assert error is not None
        assert held == {}
        return
    assert error is None, where  # one failure is the object's: all others are there
    listed = {failure.key for failure in outcome.failures}
    assert len(listed) == len(outcome.failures) == outcome.failed
    assert held.keys() | listed == undisturbed.keys(), where
    assert outcome.objects == len(undisturbed) - len(listed)
    left = await _uploads(store)
    if faulty.fired == "create_upload" and faulty._after:
        assert len(left) == 1, where  # nobody knows its id: the contract says so, a bucket rule clears it
    else:
        assert left == [], where


@pytest.mark.usefixtures("no_loose_ends")
async def test_an_upload_that_cannot_be_aborted_is_named(device: Path) -> None:
    class Stubborn(MemoryStore):
        async def complete_upload(self, *arguments: object, **named: object) -> object:  # type: ignore[override]
            raise ERRORS["refused"]

        async def abort_upload(self, key: str, upload_id: str) -> None:
            raise StoreError("it stays", status=400)

    store = Stubborn(limits=LIMITS)
    outcome, error = await _import(device, store)
    assert error is None
    assert sorted(outcome.uploads_left) == ["large: it stays", "z/large: it stays"]
    assert {"large", "z/large", "z/link to large"} == {failure.key for failure in outcome.failures}


@pytest.mark.parametrize("denied_from", [1, 2, 3, 5, 8, 13, 21])
@pytest.mark.usefixtures("no_loose_ends")
async def test_an_endpoint_that_is_lost_for_good_ends_the_job(
    device: Path, undisturbed: Held, denied_from: int
) -> None:
    store = MemoryStore(limits=LIMITS)
    denied = 0

    class Lost(FaultyStore):
        async def _carry_out(self, number: int, name: str, call: object) -> object:
            nonlocal denied
            if number >= denied_from and name != "abort_upload":
                denied += 1
                raise ERRORS["denied"]
            return await call()  # type: ignore[operator]

    outcome, error = await _import(device, Lost(store))
    assert (error is ERRORS["denied"]) is (denied_from == 1 or denied >= FAILURES_IN_A_ROW)
    held = await _held(store)
    assert held.items() <= undisturbed.items()
    assert await _uploads(store) == []
    assert outcome.objects == len(held)
    if error is None:
        assert held.keys() | {failure.key for failure in outcome.failures} == undisturbed.keys()
