"""The bucket's listing beside keys that come in ascending order: a merge of two sorted streams.

A thousand objects cost one request. Everything under the prefix is gone over, so that what belongs to no key
that was asked for can be counted. Keys are compared as text: a bucket's order is that of UTF-8, which is that
of code points.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from transfer.jobs.import_.health import EndpointHealth
from transfer.stores.contract import ListedObject, Store


class Listing:
    """One pass over the objects under a prefix.

    Args:
        store: the bucket.
        prefix: of all keys.
        health: watches the calls.

    Attributes:
        others: objects that were passed by, and are of no key that was asked for.
    """

    def __init__(self, store: Store, prefix: str, health: EndpointHealth) -> None:
        self.others = 0
        self._listing: AsyncGenerator[ListedObject] = store.list(prefix)
        self._health = health
        self._head: ListedObject | None = None
        self._is_at_end = False

    async def find(self, key: str) -> ListedObject | None:
        """The object of a key, greater than all that were asked for before; None where none is listed.

        Raises:
            TransferError: the store does not list, or not in order.
        """
        while True:
            if self._head is None:
                await self._advance()
            if self._head is None or self._head.key > key:
                return None
            found, self._head = self._head, None
            if found.key == key:
                return found
            self.others += 1

    async def finish(self) -> None:
        """Count what is left."""
        while not self._is_at_end:
            self.others += self._head is not None
            await self._advance()

    async def aclose(self) -> None:
        """Let go of the listing."""
        async with aclosing(self._listing):
            pass

    async def _advance(self) -> None:
        if not self._is_at_end:
            self._head = await self._health.watch(anext(self._listing, None))
            self._is_at_end = self._head is None
