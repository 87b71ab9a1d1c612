"""Asking a store about many keys at once, with the answers in the order of the keys."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


async def in_order(
    items: AsyncIterator[Asked], ask: Callable[[Asked], Awaitable[Answer]], at_once: int
) -> AsyncGenerator[Answer]:
    """The answers for all items, in their order; so many are asked for at once, and no more wait."""
    asked: deque[asyncio.Future[Answer]] = deque()
    try:
        async for item in items:
            asked.append(asyncio.ensure_future(ask(item)))
            if len(asked) >= at_once:
                yield await asked.popleft()
        while asked:
            yield await asked.popleft()
    finally:
        for left in asked:
            left.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
