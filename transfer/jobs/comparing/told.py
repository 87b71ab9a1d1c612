"""What is told of each entry, and how that comes in the order of keys.

Entries come in the order of their paths; a symbolic link's key sorts elsewhere, so that few of them have to
be held back: only those whose path is the beginning of the current one.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import count

import msgspec
from msgspec import Struct

from transfer.core.records import ObjectFacts
from transfer.device.path_table import PathTable
from transfer.formats.certificate import State
from transfer.jobs.comparing.originals import Content

_SAME_KEY = "a file of the device has the same key"


class Expected(Struct, frozen=True, tag=True):
    """An object that must be in the bucket; `facts` is what was said of it where it was exported."""

    path: bytes
    key: str
    content: Content
    facts: ObjectFacts | None = None


class Refused(Struct, frozen=True, tag=True):
    """An entry that no object can be certified for; its key, if it can have one that no other entry has."""

    path: bytes
    key: str
    state: State
    reason: str


class Implied(Struct, frozen=True, tag=True):
    """A folder that needs no object, as something in it has one."""

    path: bytes
    key: str


Told = Expected | Refused | Implied
_decoder: msgspec.json.Decoder[Told] = msgspec.json.Decoder(Told)


def in_key_order(told: Iterable[Told], prefix: str) -> Iterator[Told]:
    """The same, ascending by key where there is one; of two with one key the longer path comes first.

    Args:
        told: ascending by path; keys are prefix and path, and of some entries with something behind it.
        prefix: of all keys.
    """
    held: list[tuple[str, int, int, Told]] = []
    turn = count()
    for one in told:
        if not one.key:
            yield one
            continue
        plain = prefix + one.path.decode()  # no key to come is less than this
        while held and held[0][0] < plain:
            yield heapq.heappop(held)[-1]
        if held or one.key != plain:
            heapq.heappush(held, (one.key, -len(one.path), next(turn), one))
        else:
            yield one
    while held:
        yield heapq.heappop(held)[-1]


def sorted_by_key(told: Iterable[Told], table: PathTable) -> Iterator[Told]:
    """The same by key, on temporary disk; first what has none, and what has one that was told before.

    Args:
        told: in any order.
        table: empty.
    """
    for one in told:
        key = one.key.encode()
        text = table.get(key) if key else None
        earlier = _decoder.decode(text) if text else None
        if not key:
            yield one
        elif earlier is None:
            table.put(key, msgspec.json.encode(one).decode())
        elif _is_lost(earlier) and not _is_lost(one):
            yield _keyless(earlier)
            table.put(key, msgspec.json.encode(one).decode())
        else:
            yield _keyless(one)
    for _, text in table.items():
        yield _decoder.decode(text)


def unique(told: Iterable[Told]) -> Iterator[Told]:
    """The same, ascending by key, but that only the first of two with one key has it, as in the import.

    What never came onto the device has a key only where nothing else has it.
    """
    last = ""
    lost: Told | None = None
    for one in told:
        if lost is not None and one.key:
            yield lost if one.key != lost.key else _keyless(lost)
            lost = None
        if not one.key:
            yield one
        elif one.key == last:
            yield _keyless(one)
        elif _is_lost(one):
            lost = one
        else:
            last = one.key
            yield one
    if lost is not None:
        yield lost


def _is_lost(one: Told) -> bool:
    return isinstance(one, Refused) and one.state == "not-on-device"


def _keyless(one: Told) -> Refused:
    """What is said of an entry whose key another one has."""
    if isinstance(one, Refused) and _is_lost(one):
        return Refused(one.path, "", one.state, one.reason)
    return Refused(one.path, "", "not-sendable", _SAME_KEY)
