"""A bucket's listing in order, with several pages under way at once.

A listing gives its pages one after another, each some hundred milliseconds away. Here the key space is cut
into spans, several are listed at once, and what they give is handed on in the order of the keys, exactly as
one listing would give it:

- Where it is cut is guessed (split_points.py) and matters for speed alone. A span that runs out goes on into
  the next one, as long as nobody lists that.
- Every listing is read one line further than its span. That line must be the first one of the listing that
  goes on there. Where it is another (an object came or went meanwhile, or the store has another order than
  S3), or where the listing fails, the span is listed anew, behind the last line handed on. So lines and
  errors are those of one listing, and a store with another order is found out as `Store.list` finds it out.
- What was listed and not yet taken is bounded: spans far ahead wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, suppress
from typing import Final, Generic, cast

from transfer.errors import TransferError
from transfer.stores.contract import ListedObject, ListedVersion, Store
from transfer.stores.spans import Place, Span, T, place_of
from transfer.stores.split_points import behind_folders, folder_above, folder_of, folders_in, further_on

CONNECTIONS: Final = 8
PIECE: Final = 4000
"""Lines of one span before it is cut: a few requests' worth."""
_LEVELS: Final = 4
"""Levels of folders that are asked for places to cut at, of which the first may have none."""
AHEAD: Final = 64_000
"""Lines that are kept for later, some 300 bytes each."""

_ANY: Final[Place] = ("", "any")  # no key is empty


def sharded_objects(
    store: Store,
    prefix: str = "",
    *,
    start_after: str = "",
    end: str | None = None,
    connections: int = CONNECTIONS,
    piece: int = PIECE,
    ahead: int = AHEAD,
) -> AsyncGenerator[ListedObject]:
    """The objects under a prefix, as `Store.list` gives them.

    Args:
        store: the bucket.
        prefix: of the keys.
        start_after: only keys behind this one.
        end: only keys up to this one, itself included.
        connections: how many listings are under way at once.
        piece: lines of one listing before it is cut.
        ahead: lines that may be kept for later.

    Raises:
        TransferError: as `Store.list`.
    """

    def listing(after: Place) -> AsyncGenerator[ListedObject]:
        return store.list(prefix, start_after=after[0])

    return _Shards(store, prefix, listing, (connections, piece, ahead)).lines((start_after, ""), end)


def sharded_versions(
    store: Store,
    prefix: str = "",
    *,
    start_after: str = "",
    after_version: str = "",
    end: str | None = None,
    connections: int = CONNECTIONS,
    piece: int = PIECE,
    ahead: int = AHEAD,
) -> AsyncGenerator[ListedVersion]:
    """All versions under a prefix, as `Store.versions` gives them.

    Args:
        store: the bucket.
        prefix: of the keys.
        start_after: only keys behind this one,
        after_version: and of that one the versions behind this.
        end: only keys up to this one, itself included.
        connections: how many listings are under way at once.
        piece: lines of one listing before it is cut.
        ahead: lines that may be kept for later.

    Raises:
        TransferError: as `Store.versions`.
    """

    def listing(after: Place) -> AsyncGenerator[ListedVersion]:
        return store.versions(prefix, start_after=after[0], after_version=after[1])

    shards = _Shards(store, prefix, listing, (connections, piece, ahead))
    return shards.lines((start_after, after_version), end)


class _Shards(Generic[T]):
    """One listing, while it is taken."""

    def __init__(
        self,
        store: Store,
        prefix: str,
        listing: Callable[[Place], AsyncGenerator[T]],
        limits: tuple[int, int, int],
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._listing = listing
        self._connections, self._piece, self._ahead = limits
        self._front: Span[T] | None = None
        self._listings: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def lines(self, after: Place, end: str | None) -> AsyncGenerator[T]:
        """All lines behind a place up to a key, in order."""
        expected: Place | None = _ANY
        self._front = Span(after, end, None, is_cut=False)
        try:
            while (span := self._front) is not None:
                error = await self._error_of(span)
                continues = not span.is_cut or expected in {_ANY, span.first}
                if continues and span.items:
                    for item in span.items:
                        yield item
                    after = place_of(span.items[-1])
                if error is not None and not span.is_cut:
                    raise error
                if error is not None or not continues:
                    self._front, expected = span.anew(after), _ANY
                    continue
                expected = _ANY if span.goes_on else span.beyond
                self._front = span.next
        finally:
            await self._stop()

    async def _error_of(self, span: Span[T]) -> BaseException | None:
        """Wait until the front span is listed; what went wrong in it."""
        self._start()
        if span.task is None:
            return None
        await asyncio.wait({span.task})
        return span.task.exception()

    def _start(self) -> None:
        """List the first spans that wait, as many as may be; the front one in any case."""
        kept, span = 0, self._front
        while span is not None and len(self._listings) < self._connections:
            has_room = kept + len(self._listings) * self._piece < self._ahead
            if span.task is None and (has_room or span is self._front):
                span.task = self._run(self._list(span))
                self._listings.add(span.task)
            kept += len(span.items)
            span = span.next

    async def _list(self, span: Span[T]) -> None:
        try:
            async with aclosing(self._listing(span.after)) as listing:
                await self._read(span, listing)
        finally:
            span.listed = True
            self._listings.discard(cast("asyncio.Task[None]", asyncio.current_task()))
        if span.goes_on and span.next is not None:
            self._run(self._cut([item.key for item in span.items]))
        self._start()

    async def _read(self, span: Span[T], listing: AsyncGenerator[T]) -> None:
        async for item in listing:
            span.first = span.first or place_of(item)
            while span.end is not None and item.key > span.end:
                if not span.take_in_next():
                    span.beyond = place_of(item)
                    return
            span.items.append(item)
            if len(span.items) >= self._most(span) and span.leave():
                return

    def _most(self, span: Span[T]) -> int:
        """How much is listed in one go; what was cut to be a piece may be somewhat larger than meant."""
        return self._piece * 3 // 2 if span.is_cut and span.next else self._piece

    async def _cut(self, keys: list[str]) -> None:
        """Cut what follows the keys just listed, where too few spans wait."""
        if self._waiting() >= self._connections:
            return
        folder = folder_of(keys, self._prefix)
        places = behind_folders(keys[-1], self._prefix)
        each = folders_in(keys, folder)
        if not each:
            places += further_on(keys, folder, 2 * self._connections)
        with suppress(TransferError):  # it would only have been faster
            places += await self._folders_behind(keys[-1], folder, each)
        self._cut_at([place for place in places if place.startswith(self._prefix)])
        self._start()

    def _cut_at(self, places: list[str]) -> None:
        """Cut whatever is not listed yet by now."""
        span, last = self._front, max(places, default="")
        while span is not None and span.after[0] < last:
            behind = span.next
            span.cut(places)
            span = behind

    async def _folders_behind(self, key: str, folder: str, each: int) -> list[str]:
        """Every so many of the folders behind a key: of those in a folder, then of those beside it."""
        places: list[str] = []
        for _ in range(_LEVELS):
            if each:
                found = await self._store.common_prefixes(folder, start_after=key)
                places += found.prefixes[each - 1 :: each]
            if len(places) >= self._connections or len(folder) <= len(self._prefix):
                break
            folder, each = folder_above(folder, self._prefix), 1
        return places

    def _waiting(self) -> int:
        waiting, span = 0, self._front
        while span is not None and waiting < self._connections:
            waiting += span.task is None
            span = span.next
        return waiting

    def _run(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # raised where its span comes to the front, if it does

    async def _stop(self) -> None:
        self._front = None
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
