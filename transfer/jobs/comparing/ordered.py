"""Work on many items at once, its results in the order of the items, with no more of them held than asked."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from contextlib import aclosing
from itertools import islice
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_STEP = 256  # items taken from their iterator, which reads disks, in one turn of a thread


async def taken(items: Iterator[Item], step: int = _STEP) -> AsyncGenerator[Item]:
    """The items, so many of them taken at a time, in a thread."""
    while batch := await asyncio.to_thread(lambda: list(islice(items, step))):
        for item in batch:
            yield item


async def in_order(work: AsyncGenerator[Coroutine[Any, Any, Result]], width: int) -> AsyncGenerator[Result]:
    """The results of work that is begun in order and overlaps.

    Args:
        work: asked for more only where there is room.
        width: how much of it is under way at once.

    Raises:
        Whatever the work or its source raises; then nothing is left under way.
    """
    window: deque[asyncio.Task[Result]] = deque()
    try:
        async with aclosing(work):
            while True:
                if len(window) >= width:
                    yield await window.popleft()
                begun = await anext(work, None)
                if begun is None:
                    break
                window.append(asyncio.create_task(begun))
        while window:
            yield await window.popleft()
    finally:
        for task in window:
            task.cancel()
        if window:
            await asyncio.wait(window)
            for task in window:  # their errors are of no interest any more
                task.cancelled() or task.exception()


async def ordered(
    items: Iterator[Item],
    begin: Callable[[Item], Awaitable[Coroutine[Any, Any, Result]]],
    width: int,
) -> AsyncGenerator[Result]:
    """The results, one an item.

    Args:
        items: taken in a thread, a few ahead.
        begin: is awaited for one item after the other, in order, and gives the work that may overlap.
        width: how much of that work is under way at once.

    Raises:
        Whatever items, begin or work raise; then nothing is left under way.
    """
    async with aclosing(in_order(_begun(items, begin), width)) as results:
        async for result in results:
            yield result


async def _begun(
    items: Iterator[Item], begin: Callable[[Item], Awaitable[Coroutine[Any, Any, Result]]]
) -> AsyncGenerator[Coroutine[Any, Any, Result]]:
    async with aclosing(taken(items)) as source:
        async for item in source:
            yield await begin(item)
