"""How far a bucket has come with the versions of a key."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from transfer.jobs.import_.alignment import align
from transfer.jobs.import_.histories import Version, _passes
from transfer.stores.contract import ListedVersion

letters = st.lists(st.sampled_from("abcM"), max_size=6)
"""Contents; M is a delete marker."""


def there(contents: str) -> list[ListedVersion]:
    return [
        ListedVersion("k", str(number), False, one == "M", 1, one, None, None)
        for number, one in enumerate(contents)
    ]


def ours(contents: str) -> list[Version]:
    return [
        Version(str(number), 1, (0, number), is_marker=one == "M", blake3=one)
        for number, one in enumerate(contents)
    ]


def found(bucket: str, device: str) -> str | None:
    """What of the device's versions the bucket has; `-` where one is missing; None where nothing fits."""

    async def is_same(one: ListedVersion, other: Version) -> bool:
        return one.etag == other.blake3

    aligned = asyncio.run(align(there(bucket), ours(device), is_same))
    return None if aligned is None else "".join("-" if one is None else one.etag for one in aligned.found)


def test_where_the_bucket_stands() -> None:
    assert found("a", "abc") == "a"
    assert found("ab", "abc") == "ab"
    assert found("xab", "abc") == "ab"
    assert found("abx", "abc") is None
    assert found("aab", "abc") == "ab", "an answer was lost, and the request sent again"
    assert found("abb", "abc") == "ab"
    assert found("ac", "abc") == "a-c", "one came too late"
    assert found("a", "aba") == "a", "the first, before which nothing is missing"
    assert found("aba", "aba") == "aba"
    assert found("aM", "aMb") == "aM"
    assert found("xM", "aMb") is None, "a delete marker alone tells nothing"
    assert found("x", "abc") is None


@given(letters, st.integers(0, 6), letters, st.data())
def test_what_was_written_is_found_again(
    device: list[str], count: int, before: list[str], data: st.DataObject
) -> None:
    """Whatever the bucket had before, and however often a request was sent again."""
    written = device[:count]
    if not written:
        return
    sent = "".join(one * data.draw(st.integers(1, 2)) for one in written)
    got = found("".join(before) + sent, "".join(device))
    assert got is not None
    assert "-" not in got
    rest = "".join(device)[len(got) :]
    # Should more be found than was written, then what was there before was the same.
    assert len(got) >= len(written) or rest
    if not before and sent == "".join(written):
        assert got == "".join(written)


def test_passes_over_the_device() -> None:
    assert _passes([]) == []
    assert _passes([(0, 1), (0, 2), (3, 0)]) == [1, 1, 1]
    assert _passes([(0, 1), (3, 0), (0, 2), (3, 1), (0, 5)]) == [1, 1, 2, 2, 3]
