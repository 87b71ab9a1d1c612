"""Merging sorted streams of records: the merged view of a device's runs (FORMAT.md §11)."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from transfer.core.records import Entry, Failed, Removed, Skipped

PathRecord = tuple[bytes, Entry]


def merge_runs(runs: Sequence[Iterator[PathRecord]]) -> Iterator[PathRecord]:
    """The merged view of runs given oldest first, each sorted by path.

    For each path the newest entry; none after a `removed`. A `failed` or `skipped` is given beside the older
    entry, behind it, when nothing newer was stored; so a path comes at most twice.
    """
    if len(runs) == 1:
        return (item for item in runs[0] if not isinstance(item[1], Removed))
    aged = [_with_age(run, age) for age, run in enumerate(reversed(runs))]
    return _newest(heapq.merge(*aged, key=itemgetter(0, 1)))


def _with_age(run: Iterator[PathRecord], age: int) -> Iterator[tuple[bytes, int, Entry]]:
    return ((path, age, record) for path, record in run)


def _newest(items: Iterator[tuple[bytes, int, Entry]]) -> Iterator[PathRecord]:
    for path, same in groupby(items, key=itemgetter(0)):
        entry: Entry | None = None
        trouble: Entry | None = None
        entry_age = -1
        for _, age, record in same:
            if entry is not None and age != entry_age:
                break
            if isinstance(record, Failed | Skipped):
                trouble = trouble or record
            else:
                entry, entry_age = record, age
        if entry is not None and not isinstance(entry, Removed):
            yield path, entry
        if trouble is not None:
            yield path, trouble


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
