"""Fetching a large object into pieces: H frame, one C frame a chunk, P frame, closing record (FORMAT.md §7,
§10).

Chunks are fetched by ranges, several at once, each only while the object still has the ETag it was begun
with; they are hashed as a whole in order, and coded beside that. An object that changes meanwhile, or
does not have the sum that the store tells of it, is given up (`void`), its member filled with zeros, and
begun once more; the second time it is recorded as failed. What the device has of an object already is
read back from there, or fetched again where the device is encrypted, and the object must still be the
same.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing

from transfer.core.records import Begin
from transfer.core.sizes import format_size
from transfer.errors import TransferError
from transfer.jobs.export.checking import first_part_bytes
from transfer.jobs.export.facts import defect, facts_of, stat_of
from transfer.jobs.export.fetching import Fetcher
from transfer.jobs.export.packing import trouble_outcome
from transfer.jobs.export.passage import Opened, Passage
from transfer.jobs.export.trouble import OUTGROWN, Trouble, judge
from transfer.jobs.export.wanted import Wanted, from_info
from transfer.jobs.export.work import LargeObject
from transfer.jobs.filling import large_pieces as pieces_of
from transfer.jobs.filling.chunks import ChunkCoder
from transfer.jobs.filling.large_pieces import ResumedFile
from transfer.jobs.filling.outcome import Outcome, Pending, Problem, ready
from transfer.stores.contract import Store

ATTEMPTS = 2


class LargeObjectReader:
    """Fetches large objects of one bucket into pieces.

    Args:
        store: of the bucket.
        prefix: what stands before the paths in the keys.
        fetcher: for what belongs to an object beside its bytes.
        coder: for chunks.
        at_once: asked for how many ranges may be under way.
        small_limit_bytes: objects up to this size go by batches.
    """

    def __init__(
        self,
        store: Store,
        prefix: str,
        fetcher: Fetcher,
        coder: ChunkCoder,
        *,
        at_once: Callable[[], int],
        small_limit_bytes: int,
    ) -> None:
        self.store = store
        self.coder = coder
        self.at_once = at_once
        self._prefix = prefix
        self._fetcher = fetcher
        self._small_limit = small_limit_bytes

    async def pieces(self, large: LargeObject) -> AsyncGenerator[Pending, None]:
        """The object's outcomes in order; what is still being computed is awaited by the taker.

        Raises:
            TransferError: nothing can be had any more.
        """
        trouble: Trouble | None = None
        unused = 0
        for attempt in range(ATTEMPTS):
            opened = await self._open(large)
            if isinstance(opened, Trouble):
                trouble = opened
                break
            if attempt and trouble is not None:
                yield ready(_anew(large.path, trouble.reason, unused))
            passage = Passage(self.store, self.coder, self.at_once, opened)
            yield ready(Outcome([pieces_of.headers(opened.begin)]))
            async with aclosing(passage.pieces()) as pieces:
                async for pending in pieces:
                    yield pending
            trouble, unused = passage.trouble, passage.stored_bytes
            if trouble is None:
                return
        if trouble is not None:
            yield ready(trouble_outcome(large.path, trouble, large.known_reason))

    async def rest(
        self, resumed: ResumedFile, committed: Iterator[bytes] | None
    ) -> AsyncGenerator[Pending, None]:
        """The rest of an object, of which the device has a part; all of it anew where it is another by now.

        Args:
            resumed: what the device has.
            committed: the content of that, from the device; None where it cannot be read.

        Raises:
            TransferError: nothing can be had any more.
        """
        begin = resumed.begin
        large = _large_of(begin)
        opened = await self._open(large)
        if not isinstance(opened, Trouble) and _is_same(opened.begin, begin):
            passage = Passage(self.store, self.coder, self.at_once, opened._replace(begin=begin))
            async with aclosing(passage.goes_on(resumed, committed)) as pieces:
                async for pending in pieces:
                    yield pending
            if passage.trouble is None:
                return
        else:
            for piece in pieces_of.giving_up(begin, resumed.sums.bytes, self.coder.zeros):
                yield ready(Outcome([piece]))
        yield ready(_anew(large.path, "changed", resumed.sums.bytes))
        async with aclosing(self.pieces(large)) as again:
            async for pending in again:
                yield pending

    async def _open(self, large: LargeObject) -> Opened | Trouble:
        """What the store has of an object now, or why it cannot be had."""
        key, version = self._prefix + large.path.decode(), large.wanted.version_id or None
        try:
            info = await self.store.head(key, version_id=version)
            if info.archived:
                return await self._fetcher.archived(large.wanted)
            tags, omitted = await self._fetcher.tags_of(info, key, version)
            first_part = await first_part_bytes(self.store, info, version)
        except TransferError as error:
            trouble = judge(error)
            if trouble is None:
                raise
            return trouble
        if info.size_bytes <= self._small_limit:
            return OUTGROWN
        wanted = large.wanted if large.wanted.etag else from_info(large.path, info)
        facts = facts_of(info, wanted, large.member, tags, tags_omitted=omitted)
        if wrong := defect(facts):
            return Trouble(False, "unreadable", wrong)
        stat = stat_of(info, is_folder=False)
        begin = Begin(
            path=large.path.decode(),
            mode=stat.mode,
            mtime_ns=stat.mtime_ns,
            uid=stat.uid,
            gid=stat.gid,
            size_bytes=info.size_bytes,
            object=facts,
        )
        return Opened(begin, info, version, first_part)


def _anew(path: bytes, reason: str, unused_bytes: int) -> Outcome:
    """Tells of an object that is begun once more."""
    detail = f"begun once more; {format_size(unused_bytes)} that were stored of it before are of no use"
    return Outcome([], [Problem(path, "anew", reason, detail)])


def _large_of(begin: Begin) -> LargeObject:
    """What was wanted when an object was begun."""
    facts = begin.object
    if facts is None:
        raise AssertionError("an object without its facts")
    wanted = Wanted(
        begin.path_bytes,
        begin.size_bytes,
        facts.etag,
        facts.last_modified,
        facts.version_id if facts.history else "",
        facts.storage_class,
        history=facts.history,
    )
    return LargeObject(begin.path_bytes, begin.size_bytes, wanted=wanted, member=facts.member)


def _is_same(now: Begin, then: Begin) -> bool:
    """Whether an object is the one that was begun: the same bytes, by its ETag."""
    if now.object is None or then.object is None:
        return False
    same_version = not then.object.history or now.object.version_id == then.object.version_id
    return same_version and (now.object.etag, now.size_bytes) == (then.object.etag, then.size_bytes)
