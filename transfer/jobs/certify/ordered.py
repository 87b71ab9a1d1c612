"""Work on many items at once, its results in the order of the items, with no more of them held than asked."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from itertools import islice
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_STEP = 256  # items taken from their iterator, which reads disks, in one turn of a thread


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
    window: deque[asyncio.Task[Result]] = deque()
    try:
        while batch := await asyncio.to_thread(lambda: list(islice(items, _STEP))):
            for item in batch:
                if len(window) >= width:
                    yield await window.popleft()
                window.append(asyncio.create_task(await begin(item)))
        while window:
            yield await window.popleft()
    finally:
        for task in window:
            task.cancel()
        if window:
            await asyncio.wait(window)
            for task in window:  # their errors are of no interest any more
                task.cancelled() or task.exception()
