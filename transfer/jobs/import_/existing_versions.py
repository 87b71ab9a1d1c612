"""The versions that a bucket has of keys that are asked for in ascending order.

As `existing`, a listing beside the manifest. Where versions must not be listed, nobody knows.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from transfer.core.retry import is_transient
from transfer.core.versions import MAX_VERSIONS
from transfer.errors import AccessError, NotFoundError, StoreError
from transfer.jobs.import_.existing import PASSED_BY, just_before
from transfer.jobs.import_.health import EndpointHealth
from transfer.stores.contract import ListedVersion, Store


class ExistingVersions:
    """The listing beside one pass over a run.

    Args:
        store: the bucket.
        prefix: of all keys.
        health: watches the calls.
    """

    def __init__(self, store: Store, prefix: str, health: EndpointHealth) -> None:
        self._store = store
        self._prefix = prefix
        self._health = health
        self._listing: AsyncGenerator[ListedVersion] | None = None
        self._head: ListedVersion | None = None
        self._is_at_end = False
        self._is_blind = False

    async def of(self, key: str) -> list[ListedVersion] | None:
        """The newest versions of a key, oldest first; None where we may not know.

        Args:
            key: behind the one that was asked for last.

        Raises:
            TransferError: the store does not answer.
        """
        if self._is_blind:
            return None
        try:
            return await self._find(key)
        except (AccessError, StoreError) as error:
            self._listing = None  # a generator that has raised would say that it is at its end
            if isinstance(error, NotFoundError) or is_transient(error):
                raise
            self._is_blind = True
            return None

    async def aclose(self) -> None:
        """Let go of the listing."""
        listing, self._listing = self._listing, None
        if listing is not None:
            async with aclosing(listing):
                pass

    async def _find(self, key: str) -> list[ListedVersion]:
        passed = 0
        while not self._is_at_end and (self._head is None or self._head.key < key):
            if passed == PASSED_BY:
                await self.aclose()
            if self._listing is None:
                start = just_before(key, self._prefix) if passed else ""
                self._listing = self._store.versions(self._prefix, start_after=start)
            await self._advance()
            passed += 1
        found: list[ListedVersion] = []
        while self._head is not None and self._head.key == key:
            if len(found) < MAX_VERSIONS:
                found.append(self._head)
            await self._advance()
        return found[::-1]

    async def _advance(self) -> None:
        if self._listing is None:
            raise AssertionError("a listing that was not begun")
        self._head = await self._health.watch(anext(self._listing, None))
        self._is_at_end = self._head is None
