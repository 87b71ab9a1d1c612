"""Devices against a bucket: the objects that an import makes of them beside the listing, in key order.

The listing tells what is missing, extra, or of another size. Whether an object of the right size has the
right content a HEAD tells, many of them under way at once, by the store's checksum of the whole object; a
download, where that was asked for. Of an object that was exported, and of which the store has no such
checksum, another one or the ETag that the export saw is taken for it, and told as that.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, NamedTuple

from transfer.core.filters import Filter
from transfer.jobs.check.results import How, Seen, State
from transfer.jobs.comparing.examiner import Examiner, Finding
from transfer.jobs.comparing.expected import Expectation
from transfer.jobs.comparing.listing import Listing
from transfer.jobs.comparing.ordered import in_order, taken
from transfer.jobs.comparing.told import Expected, Implied, Refused, Told
from transfer.jobs.import_.health import EndpointHealth
from transfer.stores.contract import ListedObject, ObjectInfo, Store

_UNWRITTEN = "the bucket has no object of this key"
_UNASKED = "it is of no entry of the device"


class Pair(NamedTuple):
    """What both sides have of one key.

    Attributes:
        aside: of a folder's object, one of its name without the slash, which may be how the store lists it.
    """

    told: Told | None
    listed: ListedObject | None
    aside: ListedObject | None = None


class BucketCheck:
    """One check of a bucket.

    Args:
        store: the bucket.
        prefix: of all keys.
        rules: which entries are compared.
        quick: the listing alone tells.
        download, download_all: objects without a checksum, or all, are read.
        one_way: what the devices do not hold is of no interest.
        requests: under way at once.
        tell: told how many bytes more were read.
    """

    def __init__(
        self,
        store: Store,
        prefix: str,
        rules: Filter,
        *,
        quick: bool,
        download: bool,
        download_all: bool,
        one_way: bool,
        requests: int,
        tell: Callable[[int], None],
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._rules = rules
        self._quick = quick
        self._reads = download or download_all
        self._one_way = one_way
        self._requests = requests
        self._health = EndpointHealth()
        self._examiner = Examiner(
            store, self._health, download=self._reads, trusts_checksums=not download_all, tell=tell
        )

    async def results(self, expectation: Expectation) -> AsyncGenerator[Seen]:
        """What becomes of each entry and object, in the order of keys.

        Raises:
            StoreLostError: the endpoint is lost.
            TransferError: the bucket cannot be listed, or a manifest not be read.
        """
        listing = Listing(self._store, self._prefix)
        try:
            async with aclosing(pairs(taken(iter(expectation)), listing)) as both:
                results = self._quickly(both) if self._quick else self._thoroughly(both)
                async with aclosing(results) as told:
                    async for seen in told:
                        yield seen
        finally:
            await listing.aclose()

    async def _quickly(self, both: AsyncGenerator[Pair]) -> AsyncGenerator[Seen]:
        async for pair in both:
            for seen in self._by_listing(pair):
                yield seen

    async def _thoroughly(self, both: AsyncGenerator[Pair]) -> AsyncGenerator[Seen]:
        async with aclosing(in_order(self._work(both), self._requests)) as results:
            async for told in results:
                for seen in told:
                    yield seen

    async def _work(self, both: AsyncGenerator[Pair]) -> AsyncGenerator[Coroutine[Any, Any, list[Seen]]]:
        async for pair in both:
            yield self._examine(pair)

    async def _examine(self, pair: Pair) -> list[Seen]:
        told, listed, aside = pair
        if not isinstance(told, Expected) or not self._fits(told, listed):
            return self._by_listing(pair)
        found = await self._examiner.examine(told.key, told.content, listed)
        seen = self._judge(told, listed, found)
        if aside is not None and seen.state != "same":
            return [*self._extra(aside), seen]
        return [seen]

    def _judge(self, told: Expected, listed: ListedObject | None, found: Finding) -> Seen:
        if found.evidence is not None:
            return _same(told, found.evidence)
        if found.state == "unproved" and not self._reads:
            seen = _as_exported(told, found.info, listed)
            if seen is not None:
                return seen
        state: State = found.state if found.state in ("missing", "different") else "unproved"
        return _seen(told, state, found.reason)

    def _by_listing(self, pair: Pair) -> list[Seen]:
        """As much as the listing tells; all there is to tell of what needs no content."""
        told, listed, aside = pair
        more = self._extra(aside) if aside is not None else []
        match told:
            case None:
                return self._extra(listed) if listed is not None else []
            case Refused():
                return [*more, *self._refused(told, listed)]
            case Implied():
                if listed is not None and listed.size_bytes:
                    return [*more, *self._extra(listed)]
                return [*more, Seen(told.path, "same", "folder")]
            case Expected():
                return [*more, self._listed(told, listed)] if self._fits(told, listed) else more

    def _listed(self, told: Expected, listed: ListedObject | None) -> Seen:
        if listed is None:
            return _seen(told, "missing", _UNWRITTEN)
        if listed.size_bytes != told.content.size_bytes:
            sizes = f"the object has {listed.size_bytes:,} bytes, the entry has {told.content.size_bytes:,}"
            return _seen(told, "different", sizes)
        if not listed.size_bytes:
            return _same(told, "empty")
        return _same(told, "etag" if _has_etag(told, listed) else "size")

    def _refused(self, told: Refused, listed: ListedObject | None) -> list[Seen]:
        if told.state == "not-on-device":
            theirs = self._extra(listed) if listed is not None else []
            return [
                Seen(told.path, "extra", reason=told.reason, size_bytes=one.size_bytes) for one in theirs
            ] or [Seen(told.path, "not-on-device", reason=told.reason)]
        if told.state == "not-sendable" or listed is None:
            return [Seen(told.path, "missing", reason=told.reason)]
        return [Seen(told.path, "unproved", reason=told.reason)]

    def _extra(self, listed: ListedObject) -> list[Seen]:
        path = listed.key[len(self._prefix) :].encode()
        if self._one_way or not path:  # the object of the prefix itself is no entry's
            return []
        rules = self._rules
        is_wanted = rules.is_empty or (
            rules.accepts_file(path, listed.size_bytes)
            and (not path.endswith(b"/") or rules.may_descend(path))
        )
        size = listed.size_bytes
        return [Seen(path, "extra", reason=_UNASKED, size_bytes=size)] if is_wanted else []

    def _fits(self, told: Expected, listed: ListedObject | None) -> bool:
        """Whether it is within the limits of size, on one side at least."""
        low, high = self._rules.min_size_bytes, self._rules.max_size_bytes
        if (low is None and high is None) or told.path.endswith(b"/"):
            return True
        sizes = [told.content.size_bytes, listed.size_bytes if listed else told.content.size_bytes]
        return any((low or 0) <= size and (high is None or size <= high) for size in sizes)


async def pairs(expected: AsyncGenerator[Told], listing: Listing) -> AsyncGenerator[Pair]:
    """Both sides of every key, in order.

    Raises:
        TransferError: as both of them do.
    """
    async with aclosing(expected):
        async for told in expected:
            aside = None
            while told.key and (there := await listing.peek()) is not None and there.key < told.key:
                await listing.take()
                if aside is None and _may_stand_for(there, told):
                    aside = there
                else:
                    yield Pair(None, there)
            head = await listing.peek() if told.key else None
            if head is None or head.key != told.key:
                yield Pair(told, None, aside)
            else:
                yield Pair(told, await listing.take(), aside)
    while (there := await listing.take()) is not None:
        yield Pair(None, there)


def _may_stand_for(listed: ListedObject, told: Told) -> bool:
    """Whether a store may list a folder's object that way: rclone's takes the slash off."""
    return isinstance(told, Expected) and not listed.size_bytes and told.key == listed.key + "/"


def _as_exported(told: Expected, info: ObjectInfo | None, listed: ListedObject | None) -> Seen | None:
    """What can be said of an object by what was said of it where it was exported; None: nothing."""
    known = told.facts.checksums if told.facts is not None else {}
    there = info.checksums if info is not None else {}
    for algorithm in known.keys() & there.keys():
        if known[algorithm] == there[algorithm]:
            return _same(told, "checksum")
        if "-" not in known[algorithm] + there[algorithm]:  # of parts that were cut elsewhere it says nothing
            what = f"the store's {algorithm} of the object is another than where it was exported"
            return _seen(told, "different", what)
    return _same(told, "etag") if _has_etag(told, info or listed) else None


def _has_etag(told: Expected, there: ObjectInfo | ListedObject | None) -> bool:
    """Whether an object has the ETag that the export saw."""
    return there is not None and told.facts is not None and bool(there.etag) and there.etag == told.facts.etag


def _same(told: Expected, how: How) -> Seen:
    return Seen(told.path, "same", how, size_bytes=told.content.size_bytes)


def _seen(told: Expected, state: State, reason: str) -> Seen:
    return Seen(told.path, state, reason=reason, size_bytes=told.content.size_bytes)
