"""Retries: every call survives what passes, gives up on what does not, and resumes where it can."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.simulators.faults import Fault, Trouble
from tests.simulators.strict_s3 import StrictServer
from transfer.core.object_metadata import ObjectMetadata
from transfer.core.sizes import MIB
from transfer.errors import BusyError, NotFoundError, StoreError, StoreUnreachableError
from transfer.stores.checksums import checksums_of
from transfer.stores.contract import Store
from transfer.stores.memory import MemoryStore
from transfer.stores.retrying import RetryingStore, RetryPolicy
from transfer.stores.s3 import S3Store

SUMS = checksums_of([b"x"])


class Sleeper:
    """Remembers the waits and does not wait."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)


class FaultyStore:
    """Fails the calls with these numbers, from 1; listings and downloads fail after their first item."""

    def __init__(self, store: Store, fail: set[int], error: StoreError) -> None:
        self._store = store
        self._fail = fail
        self._error = error
        self.calls = 0
        self.fired: set[int] = set()

    def _strike(self) -> bool:
        self.calls += 1
        if self.calls in self._fail:
            self.fired.add(self.calls)
            return True
        return False

    def __getattr__(self, name: str) -> Callable[..., object]:
        async def call(*args: object, **named: object) -> object:
            if self._strike():
                raise self._error
            return await getattr(self._store, name)(*args, **named)

        return call

    async def list(self, *args: object, **named: object) -> AsyncIterator[object]:
        struck = self._strike()
        async for item in self._store.list(*args, **named):
            yield item
            if struck:
                raise self._error

    async def versions(self, *args: object, **named: object) -> AsyncIterator[object]:
        struck = self._strike()
        async for item in self._store.versions(*args, **named):
            yield item
            if struck and item.version_id.endswith(str(self.calls)):
                raise self._error

    @asynccontextmanager
    async def get(self, *args: object, **named: object) -> AsyncIterator[object]:
        struck = self._strike()
        async with self._store.get(*args, **named) as body:
            yield _Breaking(body, self._error if struck else None)


class _Breaking:
    def __init__(self, body, error: StoreError | None) -> None:
        self.info, self._body, self._error = body.info, body, error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._body:
            yield piece
            if self._error:
                raise self._error


def retrying(store: Store, sleeper: Sleeper, retries: int = 3) -> RetryingStore:
    return RetryingStore(
        store, RetryPolicy(retries=retries, base_s=1, ceiling_s=8, random=lambda: 1.0, sleep=sleeper)
    )


CALLS: dict[str, Callable[[Store, str], object]] = {
    "put": lambda store, upload: store.put("key", [b"x"], checksums=SUMS),
    "head": lambda store, upload: store.head("there"),
    "tags": lambda store, upload: store.tags("there"),
    "delete": lambda store, upload: store.delete("there"),
    "copy": lambda store, upload: store.copy("there", "copy"),
    "create_upload": lambda store, upload: store.create_upload("key"),
    "put_part": lambda store, upload: store.put_part("key", upload, 1, [b"x"], checksums=SUMS),
    "abort_upload": lambda store, upload: store.abort_upload("key", upload),
    "first_part_size": lambda store, upload: store.first_part_size("there"),
    "versioning": lambda store, upload: store.versioning(),
    "common_prefixes": lambda store, upload: store.common_prefixes("there"),
    "request_restore": lambda store, upload: store.request_restore("cold", days=1),
    "probe": lambda store, upload: store.probe(),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("failures", [0, 1, 2, 3])
async def test_a_call_survives_what_passes(name: str, failures: int) -> None:
    memory, sleeper = MemoryStore(), Sleeper()
    await memory.put("there", [b"x"], checksums=SUMS)
    await memory.put("cold", [b"x"], checksums=SUMS, metadata=ObjectMetadata(storage_class="GLACIER"))
    upload = (await memory.create_upload("key")).upload_id
    planned = {*range(1, failures + 1)}
    faulty = FaultyStore(memory, planned, StoreUnreachableError("cut"))
    most = 2 if name == "probe" else 3
    if failures > most:
        with pytest.raises(StoreUnreachableError):
            await CALLS[name](retrying(faulty, sleeper), upload)
    else:
        await CALLS[name](retrying(faulty, sleeper), upload)
        assert faulty.fired == planned
    assert sleeper.waits == [1.0, 2.0, 4.0][: min(failures, most)]


async def test_what_does_not_pass_is_not_tried_again() -> None:
    sleeper = Sleeper()
    faulty = FaultyStore(MemoryStore(), {1}, StoreError("no", status=400, code="InvalidArgument"))
    with pytest.raises(StoreError, match="no"):
        await retrying(faulty, sleeper).head("key")
    assert (faulty.calls, sleeper.waits) == (1, [])
    with pytest.raises(NotFoundError):
        await retrying(faulty, sleeper).head("key")
    assert faulty.calls == 2


async def test_the_store_decides_how_long_to_wait_at_least() -> None:
    sleeper = Sleeper()
    faulty = FaultyStore(MemoryStore(), {1}, BusyError("busy", retry_after_s=30))
    await retrying(faulty, sleeper).put("key", [b"x"], checksums=SUMS)
    assert sleeper.waits == [30]


async def test_a_listing_goes_on_behind_its_last_key() -> None:
    memory, sleeper = MemoryStore(), Sleeper()
    keys = [f"k{number}" for number in range(6)]
    for key in keys:
        await memory.put(key, [b"x"], checksums=SUMS)
    # More failures than one call may have: each attempt gives an item, so each begins anew.
    faulty = FaultyStore(memory, {1, 2, 3, 4, 5}, StoreUnreachableError("cut"))
    store = retrying(faulty, sleeper, retries=1)
    assert [item.key async for item in store.list("k")] == keys
    assert faulty.fired == {1, 2, 3, 4, 5}
    assert sleeper.waits == [1.0] * 5


async def test_a_listing_of_versions_goes_on_within_a_key() -> None:
    memory, sleeper = MemoryStore(versioning="enabled"), Sleeper()
    for key in ("a", "b", "b", "b", "c", "c"):
        await memory.put(key, [b"x"], checksums=SUMS)
    # Attempt N breaks off behind version N: 1 is of "a", 2 to 4 are of "b", the oldest last.
    faulty = FaultyStore(memory, {1, 2, 3, 4, 5}, StoreUnreachableError("cut"))
    store = retrying(faulty, sleeper, retries=4)
    found = [(item.key, item.version_id[-1]) async for item in store.versions()]
    assert found == [("a", "1"), ("b", "4"), ("b", "3"), ("b", "2"), ("c", "6"), ("c", "5")]
    assert faulty.fired == {1, 2, 3, 4, 5}
    some = store.versions(start_after="b", after_version="version-00000004")
    assert [item.version_id[-1] async for item in some] == ["3", "2", "6", "5"]


async def test_a_listing_of_versions_that_never_comes_further_is_given_up() -> None:
    memory, sleeper = MemoryStore(versioning="enabled"), Sleeper()
    for _ in range(3):
        await memory.put("a", [b"x"], checksums=SUMS)

    class Stuck(FaultyStore):
        async def versions(self, *args: object, **named: object) -> AsyncIterator[object]:
            async for item in memory.versions():
                yield item
                raise StoreUnreachableError("cut")

    with pytest.raises(StoreUnreachableError):
        [_ async for _ in retrying(Stuck(memory, set(), StoreError("")), sleeper, retries=2).versions()]
    assert len(sleeper.waits) == 2


async def test_a_download_of_a_version_stays_with_it() -> None:
    memory, sleeper = MemoryStore(versioning="enabled"), Sleeper()
    data = os.urandom(MIB)
    first = await memory.put("key", [data], checksums=checksums_of([data]))
    await memory.put("key", [b"x"], checksums=SUMS)
    faulty = FaultyStore(memory, {1, 2}, StoreUnreachableError("cut"))
    async with retrying(faulty, sleeper).get("key", version_id=first.version_id) as body:
        assert b"".join([piece async for piece in body]) == data
    assert faulty.fired == {1, 2}


async def test_a_download_goes_on_at_its_last_byte() -> None:
    memory, sleeper = MemoryStore(), Sleeper()
    data = os.urandom(MIB + 5)
    await memory.put("key", [data], checksums=checksums_of([data]))
    faulty = FaultyStore(memory, {1, 2, 3}, StoreUnreachableError("cut"))
    async with retrying(faulty, sleeper, retries=1).get("key", offset_bytes=3, length_bytes=MIB) as body:
        assert b"".join([piece async for piece in body]) == data[3 : MIB + 3]
    assert faulty.fired == {1, 2, 3}


async def test_a_download_never_mixes_two_objects() -> None:
    memory, sleeper = MemoryStore(), Sleeper()
    first, second = os.urandom(MIB), os.urandom(MIB)
    await memory.put("key", [first], checksums=checksums_of([first]))
    faulty = FaultyStore(memory, {1}, StoreUnreachableError("cut"))
    with pytest.raises(StoreError, match="another"):
        async with retrying(faulty, sleeper).get("key") as body:
            async for _ in body:
                await memory.put("key", [second], checksums=checksums_of([second]))


@pytest.mark.parametrize("trouble", [Trouble.SLOW_DOWN, Trouble.INTERNAL_ERROR, Trouble.RESET_BEFORE,
                                     Trouble.RESET_AFTER, Trouble.HALF_ANSWER])  # fmt: skip
async def test_a_whole_upload_over_real_connections(
    server: StrictServer, store: S3Store, trouble: Trouble
) -> None:
    """Every kind of request of an upload fails once; the object is whole, and stored once."""
    sleeper = Sleeper()
    patient = retrying(store, sleeper)
    server.faults += [
        Fault("POST", "key?uploads", trouble),
        Fault("PUT", "key?partNumber=1", trouble),
        Fault("PUT", "key?partNumber=2", trouble),
        Fault("POST", "key?uploadId", trouble),
        Fault("GET", "/key", trouble),
        Fault("GET", "list-type", trouble),
    ]
    pieces = [os.urandom(5 * MIB), os.urandom(MIB)]
    begun = await patient.create_upload("key")
    assert begun.may_have_twin
    upload = begun.upload_id
    parts = [
        await patient.put_part("key", upload, number, [piece], checksums=checksums_of([piece]))
        for number, piece in enumerate(pieces, 1)
    ]
    await patient.complete_upload("key", upload, parts, checksums=checksums_of(pieces))
    async with patient.get("key") as body:
        assert b"".join([piece async for piece in body]) == b"".join(pieces)
    assert [item.key async for item in patient.list()] == ["key"]
    assert server.faults == []
