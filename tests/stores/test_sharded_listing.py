"""A sharded listing is one listing: the same lines in the same order, wherever it is cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfer.errors import NotFoundError, StoreError
from transfer.stores.checksums import checksums_of
from transfer.stores.contract import CommonPrefixes, ListedObject, ListedVersion
from transfer.stores.memory import MemoryStore
from transfer.stores.sharded_listing import sharded_objects, sharded_versions

NOTHING = checksums_of([])
names = st.text(st.sampled_from("/ab01.-é￮😀"), min_size=1, max_size=6)
flat = st.integers(0, 9999).map(lambda number: f"flat/img-{number:04}.jpg")
folders = st.tuples(st.integers(0, 30), st.integers(0, 5)).map(lambda pair: f"f/{pair[0]}/{pair[1]}")
keys_of_all_kinds = st.sets(st.one_of(names, flat, folders), max_size=120)


class Slow:
    """Answers after some turns of the event loop, others for each call, and counts what is under way."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.calls = 0
        self.under_way = 0
        self.most_under_way = 0
        self.given = 0

    async def _wait(self) -> None:
        self.calls += 1
        for _ in range(self.calls * 7 % 11):
            await asyncio.sleep(0)

    async def list(self, prefix: str = "", *, start_after: str = "") -> AsyncGenerator[ListedObject]:
        async with aclosing(self._counted(self.store.list(prefix, start_after=start_after))) as listing:
            async for item in listing:
                yield item

    async def versions(self, prefix: str = "", **after: str) -> AsyncGenerator[ListedVersion]:
        async with aclosing(self._counted(self.store.versions(prefix, **after))) as listing:
            async for item in listing:
                yield item

    async def _counted(self, listing: AsyncIterator[Any]) -> AsyncGenerator[Any]:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self._wait()
            async for item in listing:
                self.given += 1
                yield item
        finally:
            self.under_way -= 1

    async def common_prefixes(self, prefix: str = "", **options: str) -> CommonPrefixes:
        await self._wait()
        return await self.store.common_prefixes(prefix, **options)


async def filled(keys: Sequence[str] | set[str], **options: Any) -> MemoryStore:
    store = MemoryStore(**options)
    for key in keys:
        await store.put(key, [], checksums=NOTHING)
    return store


async def taken(listing: AsyncGenerator[Any]) -> list[Any]:
    async with aclosing(listing):
        return [item async for item in listing]


def expected(lines: list[Any], end: str | None) -> list[Any]:
    return [line for line in lines if end is None or line.key.encode() <= end.encode()]


@settings(max_examples=150, deadline=None)
@given(
    keys=keys_of_all_kinds,
    prefix=st.sampled_from(["", "", "a", "f/", "flat/", "/"]),
    start_after=st.one_of(st.just(""), names, flat),
    end=st.one_of(st.none(), names, flat, folders),
    piece=st.integers(1, 9),
    connections=st.integers(1, 5),
    ahead=st.integers(1, 60),
)
async def test_it_gives_what_one_listing_gives(
    keys: set[str], prefix: str, start_after: str, end: str | None, piece: int, connections: int, ahead: int
) -> None:
    memory = await filled(keys)
    slow = Slow(memory)
    sharded = sharded_objects(
        slow, prefix, start_after=start_after, end=end, piece=piece, connections=connections, ahead=ahead
    )
    found = await taken(sharded)
    assert found == expected(await taken(memory.list(prefix, start_after=start_after)), end)
    assert slow.most_under_way <= connections


@settings(max_examples=100, deadline=None)
@given(
    writes=st.lists(st.tuples(st.one_of(names, folders), st.booleans()), max_size=60),
    again=st.integers(1, 4),
    prefix=st.sampled_from(["", "a", "f/"]),
    end=st.one_of(st.none(), names, folders),
    piece=st.integers(1, 9),
    skip=st.integers(0, 30),
)
async def test_versions_come_as_one_listing_gives_them(
    writes: list[tuple[str, bool]], again: int, prefix: str, end: str | None, piece: int, skip: int
) -> None:
    memory = await filled([], versioning="enabled")
    for key, delete in writes * again:
        await (memory.delete(key) if delete else memory.put(key, [], checksums=NOTHING))
    lines = await taken(memory.versions(prefix))
    after = lines[min(skip, len(lines)) - 1] if lines and skip else None
    told = {"start_after": after.key, "after_version": after.version_id} if after else {}
    found = await taken(sharded_versions(Slow(memory), prefix, end=end, piece=piece, connections=4, **told))
    assert found == expected(await taken(memory.versions(prefix, **told)), end)


FLAT = [f"scan-{number:06}.tif" for number in range(3000)]
DEEP = [f"{year}/{month:02}/{day:02}/{n}" for year in (2023, 2024) for month in range(1, 13)
        for day in range(1, 29) for n in range(5)]  # fmt: skip
HASHES = [f"{number * 2654435761 % 2**32:08x}" for number in range(3000)]
PEOPLE = [f"user-{number * 7919 % 10007}/{n}" for number in range(600) for n in range(5)]


@pytest.mark.parametrize("keys", [FLAT, DEEP, HASHES, PEOPLE], ids=["flat", "deep", "hashes", "people"])
async def test_listings_are_under_way_at_once_and_few_in_vain(keys: list[str]) -> None:
    """With pieces of 100, 3,000 keys take 30 requests one after another."""
    store = InRounds(await filled(keys))
    taking = asyncio.create_task(taken(sharded_objects(store, piece=100, connections=8)))
    await store.answer_until(taking)
    assert [item.key for item in taking.result()] == sorted(keys)
    assert store.calls <= 50
    assert store.rounds <= 15


class InRounds(Slow):
    """Answers all that was asked, then all that was asked thereupon, and so on: each answer takes as long."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.rounds = 0
        self._asked: list[asyncio.Event] = []

    async def _wait(self) -> None:
        self.calls += 1
        self._asked.append(asyncio.Event())
        await self._asked[-1].wait()

    async def answer_until(self, task: asyncio.Task[Any]) -> None:
        while not task.done():
            for _ in range(50):
                await asyncio.sleep(0)
            self.rounds += bool(self._asked)
            asked, self._asked = self._asked, []
            for event in asked:
                event.set()


async def test_the_end_belongs_to_it() -> None:
    slow = Slow(await filled(FLAT))
    found = await taken(sharded_objects(slow, start_after=FLAT[700], end=FLAT[777], piece=10))
    assert [item.key for item in found] == FLAT[701:778]


async def test_who_has_enough_waits_for_nobody() -> None:
    class Late(Slow):
        async def _wait(self) -> None:
            self.calls += 1
            if self.calls > 3:
                await asyncio.Event().wait()

    slow = Late(await filled(FLAT))
    async with aclosing(sharded_objects(slow, piece=100)) as listing:
        await anext(listing)
        while slow.under_way < 8:
            await asyncio.sleep(0)
    assert slow.under_way == 0


async def test_a_small_bucket_is_listed_by_one_request() -> None:
    slow = Slow(await filled(FLAT[:900]))
    assert len(await taken(sharded_objects(slow))) == 900
    assert slow.calls == 1


async def test_what_is_kept_for_later_is_bounded() -> None:
    slow = Slow(await filled(FLAT))
    listing = sharded_objects(slow, piece=10, connections=8, ahead=200)
    async with aclosing(listing):
        for number in range(1, 1500):
            await anext(listing)
            await asyncio.sleep(0)
            assert slow.given - number < 200 + 8 * 10 + 500  # and what was listed in vain until now
    for _ in range(50):
        await asyncio.sleep(0)
    assert slow.under_way == 0


class OtherOrder(Slow):
    """Lists by UTF-16 units, as some stores do, behind the check that `S3Store.list` makes."""

    async def list(self, prefix: str = "", *, start_after: str = "") -> AsyncGenerator[ListedObject]:
        await self._wait()
        after = start_after.encode("utf-16-be")
        items = [item async for item in self.store.list(prefix)]
        last = start_after
        for item in sorted(items, key=lambda item: item.key.encode("utf-16-be")):
            if item.key.encode("utf-16-be") > after:
                if item.key <= last:
                    raise StoreError(f"out of order, at {item.key!r}")
                last = item.key
                yield item


async def _until_error(listing: AsyncGenerator[ListedObject]) -> tuple[list[str], str]:
    keys = []
    async with aclosing(listing):
        try:
            async for item in listing:
                keys.append(item.key)
        except StoreError as error:
            return keys, error.what
    return keys, ""


@settings(max_examples=150, deadline=None)
@given(
    keys=st.sets(st.text(st.sampled_from("a/\ue000\uffee😀𝄞"), min_size=1, max_size=4), max_size=40),
    piece=st.integers(1, 6),
)
async def test_a_store_with_another_order_is_found_out_as_by_one_listing(keys: set[str], piece: int) -> None:
    store = OtherOrder(await filled(keys))
    found, error = await _until_error(sharded_objects(store, piece=piece, connections=3))
    wanted, wanted_error = await _until_error(store.list())
    assert (found, error) == (wanted, wanted_error)


@settings(max_examples=100, deadline=None)
@given(
    staying=st.sets(st.one_of(names, flat, folders), max_size=80),
    passing=st.lists(st.one_of(names, flat, folders), max_size=60),
    piece=st.integers(1, 6),
)
async def test_what_stays_is_listed_once_while_others_come_and_go(
    staying: set[str], passing: list[str], piece: int
) -> None:
    memory = await filled(staying)
    passing = [key for key in passing if key not in staying]

    class Lively(Slow):
        async def _wait(self) -> None:
            await super()._wait()
            for key in passing[self.calls % 7 :: 7]:
                await (memory.delete(key) if self.calls % 2 else memory.put(key, [], checksums=NOTHING))

    found = [item.key for item in await taken(sharded_objects(Lively(memory), piece=piece, connections=4))]
    assert found == sorted(set(found))
    assert staying <= set(found) <= staying | set(passing)


async def test_an_error_is_raised_where_one_listing_would_raise_it() -> None:
    class Broken(Slow):
        async def list(self, prefix: str = "", *, start_after: str = "") -> AsyncGenerator[ListedObject]:
            async with aclosing(super().list(prefix, start_after=start_after)) as listing:
                async for item in listing:
                    if item.key >= FLAT[1234]:
                        raise NotFoundError("the bucket is gone")
                    yield item

    store = Broken(await filled(FLAT))
    found, error = await _until_error(sharded_objects(store, piece=100))
    assert error == "the bucket is gone"
    assert found == FLAT[:1234]
    assert store.under_way == 0


async def test_it_goes_on_without_folders_to_cut_at() -> None:
    class Forbidden(Slow):
        async def common_prefixes(self, prefix: str = "", **options: str) -> CommonPrefixes:
            raise StoreError("no delimiters here", status=501, code="NotImplemented")

    found = await taken(sharded_objects(Forbidden(await filled(PEOPLE)), piece=100))
    assert [item.key for item in found] == sorted(PEOPLE)
