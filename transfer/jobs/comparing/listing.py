"""The bucket's listing beside keys that come in ascending order: a merge of two sorted streams.

A thousand objects cost one request. Everything under the prefix is gone over, so that what belongs to no key
that was asked for can be told. Keys are compared as text: a bucket's order is that of UTF-8, which is that
of code points.

What goes well here says nothing about the endpoint's health: most objects come from a page that arrived long
ago. What goes wrong ends the pass.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from transfer.stores.contract import ListedObject, Store


class Listing:
    """One pass over the objects under a prefix.

    Args:
        store: the bucket.
        prefix: of all keys.

    Attributes:
        others: objects that were passed by, and are of no key that was asked for.
    """

    def __init__(self, store: Store, prefix: str) -> None:
        self.others = 0
        self._listing: AsyncGenerator[ListedObject] = store.list(prefix)
        self._head: ListedObject | None = None
        self._is_at_end = False

    async def peek(self) -> ListedObject | None:
        """The next object, which stays the next; None at the end.

        Raises:
            TransferError: the store does not list, or not in order.
        """
        if self._head is None and not self._is_at_end:
            self._head = await anext(self._listing, None)
            self._is_at_end = self._head is None
        return self._head

    async def take(self) -> ListedObject | None:
        """The next object, with which one is done; None at the end.

        Raises:
            TransferError: as `peek`.
        """
        head = await self.peek()
        self._head = None
        return head

    async def find(self, key: str) -> ListedObject | None:
        """The object of a key, greater than all that were asked for before; None where none is listed.

        Raises:
            TransferError: as `peek`.
        """
        while (head := await self.peek()) is not None and head.key <= key:
            self._head = None
            if head.key == key:
                return head
            self.others += 1
        return None

    async def finish(self) -> None:
        """Count what is left."""
        while await self.take() is not None:
            self.others += 1

    async def aclose(self) -> None:
        """Let go of the listing."""
        async with aclosing(self._listing):
            pass
