"""What a bucket holds under keys that are asked for in ascending order: a listing beside the manifest.

A thousand keys cost one request, whether they exist or not. Where many keys of the bucket lie between two
that are asked for, the listing is begun anew at the second one. Keys that come out of order, and all keys
where the bucket must not be listed, cost a request each. Keys are compared as text: a bucket's order is
that of UTF-8, which is that of code points.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from transfer.core.retry import is_transient
from transfer.errors import AccessError, NotFoundError, StoreError
from transfer.jobs.import_.health import EndpointHealth
from transfer.stores.contract import ListedObject, Store

PASSED_BY = 2_000
_AFTER_ALL = "\U0010fffd" * 4  # behind any key that people or programs write


class Existing:
    """The listing beside one pass over the device.

    Args:
        store: the bucket.
        prefix: of all keys.
        health: watches the calls.
    """

    def __init__(self, store: Store, prefix: str, health: EndpointHealth) -> None:
        self._store = store
        self._prefix = prefix
        self._health = health
        self._listing: AsyncGenerator[ListedObject] | None = None
        self._head: ListedObject | None = None
        self._last = ""
        self._is_at_end = False
        self._is_blind = False

    async def find(self, key: str) -> ListedObject | None:
        """The object of a key; None where there is none, or where we may not know.

        Raises:
            TransferError: the store does not answer.
        """
        if self._is_blind or key < self._last:
            return await self._ask(key)
        try:
            found = await self._go_to(key)
        except (AccessError, StoreError) as error:
            self._listing = None  # a generator that has raised would say that it is at its end
            if isinstance(error, NotFoundError) or is_transient(error):
                raise
            # The right to write brings none to list; and not every store lists in order.
            self._is_blind = True
            return await self._ask(key)
        self._last = key
        return found

    @property
    def knows_absence(self) -> bool:
        """Whether None means that there is no object."""
        return not self._is_blind

    async def aclose(self) -> None:
        """Let go of the listing."""
        listing, self._listing = self._listing, None
        if listing is not None:
            async with aclosing(listing):
                pass

    async def _go_to(self, key: str) -> ListedObject | None:
        passed = 0
        while not self._is_at_end and (self._head is None or self._head.key < key):
            if passed == PASSED_BY:
                await self.aclose()
            if self._listing is None:
                start = just_before(key, self._prefix) if passed else ""
                self._listing = self._store.list(self._prefix, start_after=start)
            self._head = await self._health.watch(anext(self._listing, None))
            self._is_at_end = self._head is None
            passed += 1
        return self._head if self._head is not None and self._head.key == key else None

    async def _ask(self, key: str) -> ListedObject | None:
        # Not watched: without the right to list, whatever is not there is denied, however many there are.
        try:
            info = await self._store.head(key)
        except (NotFoundError, AccessError):
            return None
        return ListedObject(info.key, info.size_bytes, info.etag, info.last_modified, None)


def just_before(key: str, prefix: str) -> str:
    """A text that sorts before `key`, with nothing that anybody would name between them."""
    code = ord(key[-1]) - 1 if key else 0
    if code < 0x20 or len(key) <= len(prefix):
        return key[:-1]  # control characters are no place to begin behind
    if 0xD800 <= code <= 0xDFFF:  # no characters
        code = 0xD7FF
    return key[:-1] + chr(code) + _AFTER_ALL
