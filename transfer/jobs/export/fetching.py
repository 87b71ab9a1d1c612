"""Fetching small objects, many at once: each whole, checked against the store's checksum, with its tags."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from transfer.errors import AccessError, ArchivedError, IntegrityError, StoreError, TransferError
from transfer.jobs.export.checking import Sums, check_content, sums_of
from transfer.jobs.export.trouble import OUTGROWN, Trouble, judge
from transfer.jobs.export.wanted import Wanted
from transfer.jobs.export.work import Fetch, Restoring
from transfer.stores.contract import ObjectInfo, Store
from transfer.stores.whole import read_whole

_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Fetched:
    """A small object, whole.

    Attributes:
        tags: None where nobody asked.
        tags_omitted: it has tags that could not be read.
    """

    info: ObjectInfo
    data: bytes
    sums: Sums
    tags: Mapping[str, str] | None
    tags_omitted: bool


class Fetcher:
    """Fetches objects of one bucket.

    Args:
        store: of the bucket.
        prefix: what stands before the paths in the keys.
        tags: auto, always or never.
        restoring: None: archived objects are only reported.
        small_limit_bytes: larger objects are not fetched whole.
        at_once: requests under way at most.
    """

    def __init__(
        self,
        store: Store,
        prefix: str,
        *,
        tags: str,
        restoring: Restoring | None,
        small_limit_bytes: int,
        at_once: int,
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._tags = tags
        self._restoring = restoring
        self._limit = small_limit_bytes
        self._at_once = at_once
        self._waiting: deque[tuple[Fetch, asyncio.Future[Fetched | Trouble]]] = deque()
        self._loops: set[asyncio.Task[None]] = set()

    def fetch(self, order: Fetch) -> asyncio.Future[Fetched | Trouble]:
        """One object, or why it cannot be had, as soon as its turn comes: so many are fetched at once.

        The future raises TransferError: nothing can be had any more.
        """
        future: asyncio.Future[Fetched | Trouble] = asyncio.get_running_loop().create_future()
        self._waiting.append((order, future))
        if len(self._loops) < self._at_once:
            loop = asyncio.create_task(self._work())
            self._loops.add(loop)
            loop.add_done_callback(self._loops.discard)
        return future

    async def _work(self) -> None:
        """Fetch one after another, as long as some wait."""
        while self._waiting:
            order, future = self._waiting.popleft()
            if future.done():  # nobody waits for it any more
                continue
            try:
                got = await self._get(order)
            except Exception as error:
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(got)

    async def _get(self, order: Fetch) -> Fetched | Trouble:
        try:
            return await self._fetch(order.wanted)
        except ArchivedError as error:
            return await self.archived(order.wanted, error)
        except TransferError as error:
            trouble = judge(error)
            if trouble is None:
                raise
            return trouble._replace(again=trouble.reason == "changed")

    async def aclose(self) -> None:
        """Fetch nothing more."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    async def _fetch(self, wanted: Wanted) -> Fetched | Trouble:
        key, version = self._prefix + wanted.path.decode(), wanted.version_id or None
        attempts = _ATTEMPTS
        while True:
            info, data = await read_whole(self._store, key, version_id=version, limit_bytes=self._limit)
            if data is None:
                return OUTGROWN
            sums = sums_of(data)
            try:
                await check_content(self._store, info, version, data, sums)
            except IntegrityError:
                attempts -= 1
                if not attempts:
                    raise
                continue
            tags, omitted = await self.tags_of(info, key, version)
            return Fetched(info, data, sums, tags, omitted)

    async def tags_of(
        self, info: ObjectInfo, key: str, version: str | None
    ) -> tuple[Mapping[str, str] | None, bool]:
        """The tags of an object where they are wanted, and whether they could not be read.

        Raises:
            TransferError: nothing can be had any more.
        """
        if self._tags == "never" or (self._tags == "auto" and not info.tag_count):
            return None, False
        try:
            return await self._store.tags(key, version_id=version), False
        except (AccessError, StoreError) as error:
            if judge(error) is None:
                raise
            return None, True

    async def archived(self, wanted: Wanted, error: ArchivedError | None = None) -> Trouble:
        """What to say of an archived object; asks for its restore where that is wanted.

        Raises:
            TransferError: nothing can be had any more.
        """
        said = f"it is archived ({wanted.storage_class or 'its bytes must be restored first'})"
        if self._restoring is None:
            return Trouble(True, "archived", said)
        key, version = self._prefix + wanted.path.decode(), wanted.version_id or None
        days, tier = self._restoring.days, self._restoring.tier
        try:
            await self._store.request_restore(key, days=days, tier=tier, version_id=version)  # type: ignore[arg-type]
        except (AccessError, StoreError) as refused:
            if judge(refused) is None:
                raise
            return Trouble(True, "archived", f"{said}; its restore was refused: {refused.what}")
        return Trouble(
            True, "archived", f"{said}; its restore was requested: run the same command again then"
        )
