"""What the devices hold beside what a folder holds: pairs, in order, with flat memory.

Devices that were copied from a folder name their entries as it does: two streams in one order are merged. The
names of objects are keys, which a folder may hold under other names (docs/names.md): there the folder is gone
over first, and laid down in the order of keys on temporary disk.

What cannot be looked at is told as that: whatever the devices hold in a folder that cannot be read is neither
missing nor the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from transfer.core.filters import Filter
from transfer.core.merge import Spot, SpottedRecord
from transfer.core.records import Entry, Failed, File, Hardlink, Skipped
from transfer.jobs.comparing.expected import LinkContent
from transfer.jobs.comparing.originals import Content, content_of
from transfer.jobs.copy.walk import Found, Kind
from transfer.jobs.import_.entries import is_wanted, missing_reason
from transfer.jobs.import_.objects import facts_of


class Held(NamedTuple):
    """What the devices have of one path.

    Attributes:
        record: the newest entry; None where there is only trouble.
        content: of a file or hard link; None of others, and where the device does not tell.
        trouble: why a newer one failed or was skipped; empty where none did.
    """

    path: bytes
    record: Entry | None
    content: Content | None = None
    trouble: str = ""

    @property
    def size_bytes(self) -> int | None:
        """Of the content; None of what has none."""
        return self.record.size_bytes if isinstance(self.record, File | Hardlink) else None


class Pair(NamedTuple):
    """What both sides have of one path; None on the side that has nothing.

    Attributes:
        place: the path in the folder.
    """

    place: bytes
    held: Held | None
    found: Found | None


def held_entries(
    entries: Iterator[SpottedRecord], rules: Filter, link_content: LinkContent
) -> Iterator[Held]:
    """The entries of a merged view that the filter takes, by their names; sizes are `fits`'s business."""
    wanted = (one for one in entries if _is_wanted(one, rules))
    for path, same in groupby(wanted, key=itemgetter(0)):
        held = Held(path, None)
        for _, record, spot in same:
            if isinstance(record, Failed | Skipped):
                held = held._replace(trouble=missing_reason(record))
            else:
                held = held._replace(record=record, content=_content(path, record, spot, link_content))
        yield held


def by_path(held: Iterator[Held], found: Iterator[Found]) -> Iterator[Pair]:
    """Both sides of every path, in order; a folder that has something of the devices in it is no news."""
    theirs = _once(found)
    there = next(theirs, None)
    shut: Found | None = None
    for one in held:
        while there is not None and there.path < one.path:
            shut = there if _is_shut(there) else shut
            if not (there.kind is Kind.DIRECTORY and one.path.startswith(there.path)):
                yield Pair(there.path, None, there)
            there = next(theirs, None)
        if there is not None and there.path == one.path:
            shut = there if _is_shut(there) else shut
            yield Pair(one.path, one, there)
            there = next(theirs, None)
        elif shut is not None and one.path.startswith(shut.path):
            yield Pair(one.path, one, Found(one.path, Kind.FAILED, reason=_shut_reason(shut)))
        else:
            yield Pair(one.path, one, None)
    while there is not None:
        yield Pair(there.path, None, there)
        there = next(theirs, None)


def fits(pair: Pair, rules: Filter) -> bool:
    """Whether a pair is within the limits of size: one side of it is enough, else it would seem missing."""
    low, high = rules.min_size_bytes, rules.max_size_bytes
    if low is None and high is None:
        return True
    sizes = []
    if pair.held is not None and pair.held.size_bytes is not None:
        sizes.append(pair.held.size_bytes)
    if pair.found is not None and pair.found.kind is Kind.FILE and pair.found.status is not None:
        sizes.append(pair.found.status.st_size)
    return not sizes or any((low or 0) <= size and (high is None or size <= high) for size in sizes)


def batches(
    pairs: Iterator[Pair], is_over: Callable[[], bool], *, entries: int = 128, size_bytes: int = 16 << 20
) -> Iterator[list[Pair]]:
    """Pairs in batches of about one effort; none come any more when it is over."""
    batch: list[Pair] = []
    size = 0
    for pair in pairs:
        if is_over():
            return
        batch.append(pair)
        size += (pair.held.size_bytes or 0) if pair.held is not None else 0
        if len(batch) >= entries or size >= size_bytes:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _is_wanted(one: SpottedRecord, rules: Filter) -> bool:
    return rules.is_empty or is_wanted(one[0], None, rules, is_object=facts_of(one[1]) is not None)


def _content(path: bytes, record: Entry, spot: Spot, link_content: LinkContent) -> Content | None:
    match record:
        case File():
            return content_of(record)
        case Hardlink():
            return link_content(path, record, spot)
        case _:
            return None


def _once(found: Iterator[Found]) -> Iterator[Found]:
    """Each path once: a folder that cannot be listed is found twice, and its failure is what counts."""
    held: Found | None = None
    for one in found:
        if held is not None and held.path != one.path:
            yield held
        held = one
    if held is not None:
        yield held


def _is_shut(found: Found) -> bool:
    return found.path.endswith(b"/") and found.kind in (Kind.FAILED, Kind.SKIPPED)


def _shut_reason(shut: Found) -> str:
    return f"a folder above it was not looked into: {shut.reason}"
