"""The laws of the streams: keys come in a bucket's order, listings are merged, results keep their order."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from transfer.device.path_table import PathTable
from transfer.jobs.comparing.listing import Listing
from transfer.jobs.comparing.ordered import ordered
from transfer.jobs.comparing.originals import Content
from transfer.jobs.comparing.told import Expected, Refused, in_key_order, sorted_by_key, unique
from transfer.stores.checksums import checksums_of
from transfer.stores.memory import MemoryStore

NONE = Content(0, "", "", "")
SUFFIX = ".rclonelink"
# Few letters, and those of the suffix: so that keys meet, and sort across each other.
PATHS = st.text(alphabet="a-.", min_size=1, max_size=2) | st.text(
    alphabet="a/~ü\U0001f600", min_size=1, max_size=3
)
SUFFIXED = st.builds(lambda path, end: path + SUFFIX + end, PATHS, st.sampled_from(["", "-", "a", "/"]))
TREES = st.dictionaries(PATHS | SUFFIXED, st.booleans(), max_size=30)


def told(tree: dict[str, bool], prefix: str) -> list[Expected | Refused]:
    """As a manifest tells a tree: by path; what is a link gets a longer key."""
    paths = sorted(tree, key=str.encode)
    return [Expected(path.encode(), prefix + path + (SUFFIX if tree[path] else ""), NONE) for path in paths]


@settings(max_examples=50)
@given(tree=TREES, prefix=st.sampled_from(["", "p/", "z~"]))
def test_keys_come_in_the_order_of_a_bucket(tree: dict[str, bool], prefix: str) -> None:
    given_ = told(tree, prefix)
    found = list(in_key_order(given_, prefix))
    assert sorted(found, key=lambda one: one.path) == given_
    keys = [one.key.encode() for one in found]
    assert keys == sorted(keys)


@settings(max_examples=50)
@given(tree=TREES)
def test_a_key_has_one_owner_and_that_is_the_file(tree: dict[str, bool]) -> None:
    found = list(unique(in_key_order(told(tree, ""), "")))
    assert sorted(one.path for one in found) == sorted(path.encode() for path in tree)
    owned = [one for one in found if isinstance(one, Expected)]
    assert len({one.key for one in owned}) == len(owned)
    files = {path for path, is_link in tree.items() if not is_link}
    assert {one.path.decode() for one in found if isinstance(one, Refused)} == {
        path for path, is_link in tree.items() if is_link and path + SUFFIX in files
    }


@settings(max_examples=50)
@given(tree=TREES)
def test_nothing_is_held_back_but_links_that_the_path_begins_with(tree: dict[str, bool]) -> None:
    """So memory does not grow with the number of entries, nor with that of links."""
    taken: list[bytes] = []
    found: list[Expected | Refused] = []

    def noting():  # type: ignore[no-untyped-def]
        for one in told(tree, ""):
            if taken:
                assert len(taken) - len(found) <= sum(taken[-1].startswith(path) for path in taken)
            taken.append(one.path)
            yield one

    for one in in_key_order(noting(), ""):
        found.append(one)


LOST = st.dictionaries(PATHS | SUFFIXED, st.sampled_from(["file", "link", "lost", "both"]), max_size=20)


@settings(max_examples=50)
@given(kinds=LOST, by_table=st.booleans())
@example(kinds={"a": "link", "a" + SUFFIX: "lost"}, by_table=False)
@example(kinds={"%": "lost", "%a": "link", "%a" + SUFFIX: "lost"}, by_table=True)
def test_what_was_lost_has_a_key_only_where_nothing_else_has_it(
    kinds: dict[str, str], by_table: bool
) -> None:
    """Of a path there may be an entry and, beside it, a newer one that failed."""
    given_: list[Expected | Refused] = []
    for path in sorted(kinds, key=str.encode):
        if kinds[path] != "lost":
            given_ += told({path: kinds[path] == "link"}, "")
        if kinds[path] in ("lost", "both"):
            given_.append(Refused(path.encode(), path, "not-on-device", "why"))
    if by_table:
        with PathTable() as table:
            found = list(sorted_by_key(given_, table))
    else:
        found = list(unique(in_key_order(given_, "")))
    keys = [one.key.encode() for one in found if one.key]
    assert keys == sorted(set(keys))
    lost = [one.path for one in found if isinstance(one, Refused) and one.state == "not-on-device"]
    assert sorted(lost) == sorted(path.encode() for path in kinds if kinds[path] in ("lost", "both"))
    taken = {one.key for one in given_ if isinstance(one, Expected)}
    for one in found:
        if isinstance(one, Refused) and one.state == "not-on-device":
            assert one.key == ("" if one.path.decode() in taken else one.path.decode())


def test_what_has_no_key_comes_through() -> None:
    refused = Refused(b"\xff", "", "not-sendable", "why")
    link = Expected(b"a", "a.rclonelink", NONE)
    file = Expected(b"a-", "a-", NONE)
    found = list(in_key_order([link, file, refused], ""))
    assert refused in found
    assert [one for one in found if one.key] == [file, link]


KEYS = st.sets(st.text(alphabet="ab/~ü\U0001f600", min_size=1, max_size=3), max_size=20)


@settings(max_examples=50)
@given(there=KEYS, asked=KEYS)
def test_a_listing_is_merged_as_sets_are(there: set[str], asked: set[str]) -> None:
    async def merge() -> None:
        store = MemoryStore()
        for key in there:
            await store.put(key, [], checksums=checksums_of([]))
        listing = Listing(store, "")
        for key in sorted(asked):
            found = await listing.find(key)
            assert (found.key if found else None) == (key if key in there else None)
        await listing.finish()
        assert listing.others == len(there - asked)
        await listing.aclose()

    asyncio.run(merge())


@settings(max_examples=50)
@given(st.lists(st.integers(0, 5), max_size=600), st.integers(1, 9))
def test_results_keep_the_order_of_their_items(turns: list[int], width: int) -> None:
    under_way = most = 0

    async def work(item: tuple[int, int]) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(item[1]):
            await asyncio.sleep(0)
        under_way -= 1
        return item[0]

    async def begin(item: tuple[int, int]):  # type: ignore[no-untyped-def]
        return work(item)

    async def go() -> list[int]:
        return [one async for one in ordered(iter(enumerate(turns)), begin, width)]

    assert asyncio.run(go()) == list(range(len(turns)))
    assert most <= width


@pytest.mark.parametrize("where", ["items", "begin", "work", "taker"])
async def test_nothing_is_left_under_way(where: str) -> None:
    ended: list[int] = []
    started: list[int] = []

    async def work(item: int) -> int:
        started.append(item)
        try:
            if where == "work" and item == 3:
                raise KeyError(item)
            await asyncio.sleep(0 if item < 3 else 60)
        finally:
            ended.append(item)
        return item

    async def begin(item: int):  # type: ignore[no-untyped-def]
        if where == "begin" and item == 6:
            raise KeyError(item)
        return work(item)

    def items():  # type: ignore[no-untyped-def]
        yield from range(8)
        if where == "items":
            raise KeyError

    results = ordered(items(), begin, 5)
    with pytest.raises(KeyError):
        async for one in results:
            if where == "taker" and one == 1:
                raise KeyError(one)
    await results.aclose()
    assert sorted(started) == sorted(ended)
    assert len(asyncio.all_tasks()) == 1
