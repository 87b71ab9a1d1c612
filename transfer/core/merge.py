"""Merging sorted streams of records: the merged view of a device's runs (FORMAT.md §11)."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

from transfer.core.records import Entry, Failed, Removed, Skipped
from transfer.core.versions import moment_of, version_of

PathRecord = tuple[bytes, Entry]

Spot = tuple[int, int]
"""Where a record stands: sequence of its segment, and how many records of the segment come before it."""

SpottedRecord = tuple[bytes, Entry, Spot]

_Item = TypeVar("_Item", PathRecord, SpottedRecord)


def merge_runs(runs: Sequence[Iterator[_Item]]) -> Iterator[_Item]:
    """The merged view of runs given oldest first, each sorted by path.

    For each path the newest entry; none after a `removed`. A `failed` or `skipped` is given beside the older
    entry, behind it, when nothing newer was stored; so a path comes at most twice. A key whose newest entry
    is one of its versions comes with all of them, oldest first.
    """
    if len(runs) == 1:
        return (item for item in runs[0] if not isinstance(item[1], Removed))
    aged = [_with_age(run, age) for age, run in enumerate(reversed(runs))]
    return _newest(heapq.merge(*aged, key=itemgetter(0, 1)))


def _with_age(run: Iterator[_Item], age: int) -> Iterator[tuple[bytes, int, _Item]]:
    return ((item[0], age, item) for item in run)


def _newest(items: Iterator[tuple[bytes, int, _Item]]) -> Iterator[_Item]:
    for _, group in groupby(items, key=itemgetter(0)):
        same = list(group)
        entry: _Item | None = None
        trouble: _Item | None = None
        entry_age = -1
        for _, age, item in same:
            if entry is not None and age != entry_age:
                break
            if isinstance(item[1], Failed | Skipped):
                trouble = trouble or item
            else:
                entry, entry_age = item, age
        if entry is not None and version_of(entry[1]) is not None:
            yield from _versions(same)
        elif entry is not None and not isinstance(entry[1], Removed):
            yield entry
        if trouble is not None:
            yield trouble


def _versions(same: list[tuple[bytes, int, _Item]]) -> Iterator[_Item]:
    """The versions of one key over all runs, oldest first, each once."""
    found: dict[str, _Item] = {}
    for _, _, item in sorted(same, key=itemgetter(1), reverse=True):  # stable: a run keeps its order
        version = version_of(item[1])
        if version is not None:
            found[version] = item  # that of the newest run, in the place of the oldest
    return iter(sorted(found.values(), key=lambda item: moment_of(item[1])))


class LaterPaths:
    """Which paths have a newer record in later runs, given oldest first; asked in path order, with flat
    memory.
    """

    def __init__(self, later: Sequence[Iterator[PathRecord]]) -> None:
        merged = heapq.merge(*map(_stored, later), key=itemgetter(0))
        self._groups = groupby(merged, key=itemgetter(0))
        self._head: bytes | None = b""
        self._records: list[Entry] = []
        self._advance()

    def has(self, path: bytes, record: Entry | None = None) -> bool:
        """Whether `path` was stored again, or removed, later.

        Args:
            path: at or behind the one that was asked for before.
            record: what an older run has there: one of a key's versions stays beside newer ones.
        """
        while self._head is not None and self._head < path:
            self._advance()
        if self._head != path:
            return False
        version = version_of(record) if record is not None else None
        if version is None:
            return True
        return version_of(self._records[-1]) is None or version in map(version_of, self._records)

    def _advance(self) -> None:
        self._head, group = next(self._groups, (None, iter(())))
        self._records = [record for _, record in group]


def _stored(run: Iterator[PathRecord]) -> Iterator[PathRecord]:
    return (item for item in run if not isinstance(item[1], Failed | Skipped))
