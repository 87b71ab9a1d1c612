"""Merging sorted streams of records: the merged view of a device's runs (FORMAT.md §11)."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

from transfer.core.records import Entry, Failed, Removed, Skipped

PathRecord = tuple[bytes, Entry]

Spot = tuple[int, int]
"""Where a record stands: sequence of its segment, and how many records of the segment come before it."""

SpottedRecord = tuple[bytes, Entry, Spot]

_Item = TypeVar("_Item", PathRecord, SpottedRecord)


def merge_runs(runs: Sequence[Iterator[_Item]]) -> Iterator[_Item]:
    """The merged view of runs given oldest first, each sorted by path.

    For each path the newest entry; none after a `removed`. A `failed` or `skipped` is given beside the older
    entry, behind it, when nothing newer was stored; so a path comes at most twice.
    """
    if len(runs) == 1:
        return (item for item in runs[0] if not isinstance(item[1], Removed))
    aged = [_with_age(run, age) for age, run in enumerate(reversed(runs))]
    return _newest(heapq.merge(*aged, key=itemgetter(0, 1)))


def _with_age(run: Iterator[_Item], age: int) -> Iterator[tuple[bytes, int, _Item]]:
    return ((item[0], age, item) for item in run)


def _newest(items: Iterator[tuple[bytes, int, _Item]]) -> Iterator[_Item]:
    for _, same in groupby(items, key=itemgetter(0)):
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
        if entry is not None and not isinstance(entry[1], Removed):
            yield entry
        if trouble is not None:
            yield trouble


class LaterPaths:
    """Which paths have a newer record in later runs; asked in path order, with flat memory."""

    def __init__(self, later: Sequence[Iterator[PathRecord]]) -> None:
        self._paths = heapq.merge(*(_stored_paths(run) for run in later))
        self._head = next(self._paths, None)

    def has(self, path: bytes) -> bool:
        """Whether `path` was stored again, or removed, later."""
        while self._head is not None and self._head < path:
            self._head = next(self._paths, None)
        return self._head == path


def _stored_paths(run: Iterator[PathRecord]) -> Iterator[bytes]:
    return (path for path, record in run if not isinstance(record, Failed | Skipped))
