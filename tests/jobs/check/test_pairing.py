"""The laws of the merge: each path once, in order, with what both sides have of it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from transfer.core.records import Directory, File
from transfer.jobs.check.pairing import Held, Pair, batches, by_path
from transfer.jobs.copy.walk import Found, Kind

STAT = {"mode": 0, "mtime_ns": 0, "uid": 0, "gid": 0}
PATHS = st.sets(st.text(alphabet="ab!/", min_size=1, max_size=4).map(str.encode), max_size=12)


def held(path: bytes) -> Held:
    text = path.decode()
    if path.endswith(b"/"):
        return Held(path, Directory(path=text, **STAT))
    return Held(path, File(path=text, size_bytes=0, blake3="", crc64nvme="", crc32c="", **STAT))


def found(path: bytes, kind: Kind | None = None, reason: str = "") -> Found:
    plain = Kind.DIRECTORY if path.endswith(b"/") else Kind.FILE
    return Found(path, kind or plain, os.stat("/") if kind is None else None, reason)


def paired(ours: Iterator[Held] | list[Held], theirs: list[Found]) -> list[Pair]:
    return list(by_path(iter(ours), iter(theirs)))


@settings(max_examples=50)
@given(ours=PATHS, theirs=PATHS)
def test_both_sides_are_joined(ours: set[bytes], theirs: set[bytes]) -> None:
    pairs = paired([held(path) for path in sorted(ours)], [found(path) for path in sorted(theirs)])
    places = [pair.place for pair in pairs]
    assert places == sorted(set(places))
    told = {pair.place: (pair.held is not None, pair.found is not None) for pair in pairs}
    expected = {path: (path in ours, path in theirs) for path in ours | theirs}
    implied = {
        path for path in theirs - ours if path.endswith(b"/") and any(one.startswith(path) for one in ours)
    }
    for path in implied:  # a folder of the way to something: known, or told where something came between
        expected.pop(path)
        told.pop(path, None)
    assert told == expected


def test_a_folder_on_the_way_to_an_entry_is_no_news() -> None:
    pairs = paired([held(b"a/b/c")], [found(path) for path in (b"a/", b"a/b/", b"a/b/c", b"d/")])
    assert [pair.place for pair in pairs] == [b"a/b/c", b"d/"]


def test_what_is_in_a_folder_that_is_shut_is_not_missing() -> None:
    ours = [held(path) for path in (b"a/", b"a/b", b"a/c/", b"a/c/d", b"b")]
    theirs = [found(b"a/"), found(b"a/", Kind.FAILED, "unreadable"), found(b"b")]
    pairs = paired(ours, theirs)
    kinds = {pair.place: pair.found.kind if pair.found else None for pair in pairs}
    failed = dict.fromkeys([b"a/", b"a/b", b"a/c/", b"a/c/d"], Kind.FAILED)
    assert kinds == {**failed, b"b": Kind.FILE}
    assert len(pairs) == len(ours), "a folder that cannot be listed is told once"
    skipped = paired(ours[1:2], [found(b"a/", Kind.SKIPPED, "other-file-system")])
    assert [pair.found.kind for pair in skipped if pair.held and pair.found] == [Kind.FAILED]


@settings(max_examples=50)
@given(st.lists(st.integers(0, 40), max_size=30), st.integers(1, 5), st.integers(1, 60))
def test_batches_are_bounded_and_lose_nothing(sizes: list[int], entries: int, size_bytes: int) -> None:
    def pairs() -> Iterator[Pair]:
        for number, size in enumerate(sizes):
            name = b"%03d" % number
            record = held(name)._replace(
                record=File(path=name.decode(), size_bytes=size, blake3="", crc64nvme="", crc32c="", **STAT)
            )
            yield Pair(name, record, None)

    made = list(batches(pairs(), lambda: False, entries=entries, size_bytes=size_bytes))
    assert [pair for batch in made for pair in batch] == list(pairs())
    for batch in made:
        assert 1 <= len(batch) <= entries
        assert sum(pair.held.size_bytes or 0 for pair in batch[:-1] if pair.held) < size_bytes
    assert list(batches(pairs(), lambda: True)) == []
