"""`Existing` answers as a dict of the bucket would, whatever is asked in whatever order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from transfer.errors import AccessError, StoreError, StoreUnreachableError, TransferError
from transfer.jobs.import_.existing import Existing
from transfer.jobs.import_.health import EndpointHealth
from transfer.stores.checksums import checksums_of
from transfer.stores.contract import ListedObject
from transfer.stores.memory import MemoryStore

# What sorts where it is easily mistaken: control characters, the ends of UTF-8's lengths, around surrogates.
CHARS = st.sampled_from("\x01 !/0az~\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010fffd\U0010ffff")
KEYS = st.text(CHARS, min_size=1, max_size=4) | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4
)
PREFIXES = st.sampled_from(["", "p/", "\x01", "\U0010ffff"])


class Counted(MemoryStore):
    """Counts requests: a page of three keys is one."""

    def __init__(self) -> None:
        super().__init__(now=lambda: datetime(2026, 1, 1, tzinfo=UTC))
        self.requests = 0
        self.heads = 0
        self.error: TransferError | None = None

    async def fill(self, keys: set[str]) -> None:
        for key in keys:
            body = key.encode()
            await self.put(key, [body], checksums=checksums_of([body]))

    async def head(self, key: str) -> object:  # type: ignore[override]
        self.heads += 1
        return await super().head(key)

    async def list(self, prefix: str = "", *, start_after: str = "") -> AsyncIterator[ListedObject]:
        self.requests += 1
        if self.error is not None:
            raise self.error
        given = 0
        async for item in super().list(prefix, start_after=start_after):
            if given and given % 3 == 0:
                self.requests += 1
            given += 1
            yield item


def found_of(item: ListedObject | None) -> tuple[str, int, str] | None:
    return item and (item.key, item.size_bytes, item.etag)


async def ask(store: Counted, prefix: str, asked: list[str]) -> list[tuple[str, int, str] | None]:
    existing = Existing(store, prefix, EndpointHealth())
    answers = [found_of(await existing.find(key)) for key in asked]
    await existing.aclose()
    return answers


@settings(max_examples=150, deadline=None)
@given(
    held=st.sets(KEYS, max_size=25),
    asked=st.lists(KEYS, max_size=25),
    prefix=PREFIXES,
    ascending=st.booleans(),
    passed_by=st.integers(1, 4),
)
@example(held={"a", "b"}, asked=["b", "a", "b", "b"], prefix="", ascending=False, passed_by=1)
@example(held=set("0123456789"), asked=["9", "\ue000"], prefix="", ascending=True, passed_by=2)
def test_as_a_dict(held: set[str], asked: list[str], prefix: str, ascending: bool, passed_by: int) -> None:
    there = {prefix + key for key in held}
    keys = [prefix + key for key in (sorted(asked) if ascending else asked)]

    async def compare() -> None:
        store = Counted()
        await store.fill(there | {"other/" + key for key in held})
        answers = await ask(store, prefix, keys)
        expected = {item.key: found_of(item) async for item in MemoryStore.list(store)}
        assert answers == [expected.get(key) for key in keys]
        if ascending:
            assert store.heads == 0

    with patch("transfer.jobs.import_.existing.PASSED_BY", passed_by):
        asyncio.run(compare())


@pytest.mark.parametrize(
    "error", [AccessError("no right to list"), StoreError("out of order", status=200, code="OutOfOrder")]
)
async def test_where_listing_is_of_no_use_each_key_is_asked_for(error: TransferError) -> None:
    store = Counted()
    await store.fill({"a", "c"})
    store.error = error
    existing = Existing(store, "", EndpointHealth())
    assert existing.knows_absence
    assert [found_of(await existing.find(key)) is not None for key in "abc"] == [True, False, True]
    assert not existing.knows_absence
    assert (store.requests, store.heads) == (1, 3)


@pytest.mark.parametrize("error", [StoreUnreachableError("gone"), StoreError("busy", status=503)])
async def test_a_listing_that_may_go_well_later_is_an_error(error: TransferError) -> None:
    store = Counted()
    store.error = error
    existing = Existing(store, "", EndpointHealth())
    with pytest.raises(type(error)):
        await existing.find("a")
    store.error = None
    await store.fill({"a"})
    assert found_of(await existing.find("a")) is not None


@pytest.mark.parametrize("gap", [10, 20_000])
async def test_what_lies_between_is_listed_only_where_it_is_little(gap: int) -> None:
    """Real pages have a thousand keys; ten of them are looked at before the listing begins anew."""
    store = Counted()
    await store.fill({f"{folder}/{number:05}" for folder in "abc" for number in range(gap)})
    assert await ask(store, "", ["a/x", "b/x", "c/x", "d"]) == [None] * 4
    assert store.heads == 0
    assert store.requests <= 3 * min(gap, 3000) / 3 + 8
