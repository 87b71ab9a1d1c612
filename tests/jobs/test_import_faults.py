"""The N-th call to the store fails, for N = 1, 2, ... until none is left to fail.

After each: nothing in the bucket differs from the source, what is not there is listed, no upload is left that
was not named. Then the import is run again, and the bucket is as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.attempts import Site, check_next_attempt, new_site
from tests.jobs.faulty_store import FaultyStore
from tests.jobs.memory_import import Imported
from transfer.core.object_metadata import ObjectMetadata
from transfer.core.retry import is_transient
from transfer.errors import AccessError, StoreError
from transfer.jobs.import_.health import FAILURES_IN_A_ROW
from transfer.stores.memory import MemoryStore

ERRORS = {
    "transient": StoreError("it is broken", status=500, code="InternalError"),
    "refused": StoreError("it is refused", status=400, code="InvalidArgument"),
    "denied": AccessError("it is denied"),
}
Held = dict[str, tuple[bytes, ObjectMetadata]]


async def _held(store: MemoryStore) -> Held:
    held: Held = {}
    async for item in store.list():
        async with store.get(item.key) as body:
            held[item.key] = b"".join([piece async for piece in body]), body.info.metadata
    return held


@pytest.mark.parametrize("after", [False, True], ids=["not done", "answer lost"])
@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.usefixtures("no_loose_ends")
async def test_every_call_may_fail(undisturbed: Site, tmp_path: Path, kind: str, after: bool) -> None:
    expected = await _held(undisturbed.store)
    nth = 0
    while True:
        nth += 1
        site = new_site(undisturbed.device, tmp_path / f"{nth}")
        faulty = FaultyStore(site.store, nth, ERRORS[kind], after=after)
        first = await site.attempt(faulty)
        if not faulty.fired:
            break
        await _check(site, faulty, first, expected, kind)
        await check_next_attempt(site, undisturbed)
    assert nth > 20, "so few calls: the source does not try much"
    assert await _held(site.store) == expected
    assert faulty.at_once > 1, "the calls of this test never overlap"


async def _check(site: Site, faulty: FaultyStore, first: Imported, undisturbed: Held, kind: str) -> None:
    where = f"call {len(faulty.calls)}, {faulty.fired}"
    held = await _held(site.store)
    assert held.items() <= undisturbed.items(), where
    if faulty.fired == "probe":
        assert first.error is not None
        assert held == {}
        return
    assert first.error is None, where  # one failure is the object's: all others are there
    listed = {failure.key for failure in first.outcome.failures}
    assert len(listed) == len(first.outcome.failures) == first.outcome.failed
    assert held.keys() | listed == undisturbed.keys(), where
    assert first.outcome.objects == len(undisturbed) - len(listed)
    assert site.begun() == []
    if faulty.fired == "create_upload" and faulty._after and not is_transient(ERRORS[kind]):
        assert first.uploads
        for key, upload_id in await site.left():  # a store that refuses it and does it all the same
            await site.store.abort_upload(key, upload_id)
    else:
        assert first.uploads == [], where


@pytest.mark.usefixtures("no_loose_ends")
async def test_an_upload_that_cannot_be_aborted_is_named_and_aborted_by_the_next_attempt(
    undisturbed: Site, tmp_path: Path
) -> None:
    class Stubborn(FaultyStore):
        async def _carry_out(self, number: int, name: str, call: Callable[[], Awaitable[Any]]) -> Any:
            if name == "complete_upload":
                raise ERRORS["refused"]
            if name == "abort_upload":
                raise StoreError("it stays", status=400)
            return await call()

    site = new_site(undisturbed.device, tmp_path / "site")
    first = await site.attempt(Stubborn(site.store))
    assert first.error is None
    assert sorted(first.outcome.uploads_left) == ["large: it stays", "z/large: it stays"]
    assert first.failed.keys() == {"large", "z/large", "z/link to large"}
    assert [key for key, _ in site.begun()] == [key for key, _ in await site.left()] == ["large", "z/large"]
    await check_next_attempt(site, undisturbed)


@pytest.mark.parametrize("denied_from", [1, 2, 3, 5, 8, 13, 21])
@pytest.mark.usefixtures("no_loose_ends")
async def test_an_endpoint_that_is_lost_for_good_ends_the_job(
    undisturbed: Site, tmp_path: Path, denied_from: int
) -> None:
    denied = 0

    class Lost(FaultyStore):
        async def _carry_out(self, number: int, name: str, call: Callable[[], Awaitable[Any]]) -> Any:
            nonlocal denied
            if number >= denied_from and name != "abort_upload":
                denied += 1
                raise ERRORS["denied"]
            return await call()

    expected = await _held(undisturbed.store)
    site = new_site(undisturbed.device, tmp_path / "site")
    first = await site.attempt(Lost(site.store))
    assert (first.error is ERRORS["denied"]) is (denied_from == 1 or denied >= FAILURES_IN_A_ROW)
    held = await _held(site.store)
    assert held.items() <= expected.items()
    assert await site.left() == [one for one in site.begun() if one[1]]
    assert first.outcome.objects == len(held)
    if first.error is None:
        assert held.keys() | first.failed.keys() == expected.keys()
        assert first.uploads == []
    await check_next_attempt(site, undisturbed)
