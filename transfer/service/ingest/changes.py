"""Who wants to know what changes: subscriptions that hold names of what changed, never its states.

- What changed several times before it was read is told once, with the state that it has then: a slow reader
  misses states in between, never the last one.
- So a subscription is as large as the dock at most. One that nobody reads ends, rather than to grow further.
- Whoever gives up waiting for the next change loses none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal

from transfer.service.views import Change

Kind = Literal["device", "job"]
Subject = tuple[Kind, str]
Render = Callable[[Subject], Awaitable[Change | None]]

MAX_SUBJECTS = 50_000


class Changes:
    """All subscriptions.

    Args:
        render: the present state of a subject; None where there is nothing to tell of it.
    """

    def __init__(self, render: Render) -> None:
        self._render = render
        self._subscriptions: set[_Subscription] = set()
        self._is_closed = False

    def publish(self, kind: Kind, name: str) -> None:
        """Something changed: a device, by its folder's name, or a job, by its id."""
        for subscription in self._subscriptions:
            subscription.put((kind, name))

    def close(self) -> None:
        """End all subscriptions, also those to come."""
        self._is_closed = True
        for subscription in self._subscriptions:
            subscription.end()

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[AsyncIterator[Change]]:
        """Changes from now on."""
        subscription = _Subscription(self._render)
        if self._is_closed:
            subscription.end()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)


class _Subscription(AsyncIterator[Change]):
    """What changed, the longest ago first; read by one task at a time."""

    def __init__(self, render: Render) -> None:
        self._render = render
        self._subjects: dict[Subject, None] = {}
        self._ready = asyncio.Event()
        self._has_ended = False

    def put(self, subject: Subject) -> None:
        if len(self._subjects) >= MAX_SUBJECTS:
            self.end()
        if not self._has_ended:
            self._subjects[subject] = None
            self._ready.set()

    def end(self) -> None:
        self._has_ended = True
        self._subjects.clear()
        self._ready.set()

    async def __anext__(self) -> Change:
        while True:
            await self._ready.wait()
            if self._has_ended:
                raise StopAsyncIteration
            subject = self._take()
            try:
                change = await self._render(subject)
            except BaseException:
                self.put(subject)
                raise
            if change is not None:
                return change

    def _take(self) -> Subject:
        subject = next(iter(self._subjects))
        del self._subjects[subject]
        if not self._subjects:
            self._ready.clear()
        return subject
