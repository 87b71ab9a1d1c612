"""The spans of keys that a sharded listing consists of, in a chain."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Iterable
from typing import Generic, TypeAlias, TypeVar

from transfer.stores.values import ListedObject, ListedVersion

T = TypeVar("T", bound=ListedObject | ListedVersion)
Place: TypeAlias = tuple[str, str]
"""A key and, where versions are listed, one of its versions."""


class Span(Generic[T]):
    """A span of keys, behind a place and up to a key. Spans make a chain, in order.

    Attributes:
        end: the last key that belongs to it; None where there is no last one.
        next: the span behind it.
        is_cut: it begins at a guessed place, so its first line must be the one seen behind the span before.
        first: the first line of its listing; None where there was none.
        beyond: the first line behind the span; None where the listing ended.
        goes_on: its listing was left before its end; the next span continues it.
        listed: nothing will change here any more.
    """

    def __init__(self, after: Place, end: str | None, behind: Span[T] | None, *, is_cut: bool) -> None:
        self.after = after
        self.end = end
        self.next = behind
        self.is_cut = is_cut
        self.first: Place | None = None
        self.beyond: Place | None = None
        self.goes_on = False
        self.listed = False
        self.items: list[T] = []
        self.task: asyncio.Task[None] | None = None

    def take_in_next(self) -> bool:
        """Go on into the next span, where nobody lists that."""
        if self.next is None or self.next.task is not None:
            return False
        self.end, self.next = self.next.end, self.next.next
        return True

    def leave(self) -> bool:
        """End behind the last line, and make the rest a new span; whether that could be done.

        Of a key's versions all are listed in one span or none. Stores that tell delete markers apart from
        other versions say only by time, in seconds, how these follow: nobody can go on in between.
        """
        if isinstance(self.items[-1], ListedVersion):
            kept = bisect_left(self.items, self.items[-1].key, key=lambda item: item.key)
            if not kept:
                return False
            del self.items[kept:]
        last = self.items[-1].key
        self.goes_on = True
        self.next = Span((last, ""), self.end, self.next, is_cut=False)
        self.end = last
        return True

    def cut(self, places: Iterable[str]) -> None:
        """Make several spans of what is not listed yet."""
        if self.listed:
            return
        reached = self.items[-1].key if self.items else self.after[0]
        behind, end = self.next, self.end
        for place in sorted({place for place in places if place > reached}, reverse=True):
            if self.end is None or place < self.end:
                behind, end = Span((place, ""), end, behind, is_cut=True), place
        self.end, self.next = end, behind

    def anew(self, after: Place) -> Span[T]:
        """The same span, to be listed as what follows a line; what is behind it may then be another."""
        if self.next is not None:
            self.next.is_cut = True
        return Span(after, self.end, self.next, is_cut=False)


def place_of(item: ListedObject | ListedVersion) -> Place:
    """Where a listing goes on behind this line."""
    return item.key, item.version_id if isinstance(item, ListedVersion) else ""
