"""Devices against a folder: the pairs of both, looked at in batches by a few threads, results in order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any

from transfer.jobs.check.looking import FolderLook
from transfer.jobs.check.pairing import Pair, batches
from transfer.jobs.check.results import Seen
from transfer.jobs.comparing.ordered import in_order, taken


async def folder_results(pairs: Iterator[Pair], look: FolderLook, workers: int) -> AsyncGenerator[Seen]:
    """What becomes of each entry, in the order of paths.

    Args:
        pairs: both sides; taken by one thread at a time, and by none when this has ended.
        look: looks at them, in several threads; closed when this ends.
        workers: how many threads.

    Raises:
        Whatever `pairs` raises.
    """
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="look")
    source = _Source(batches(pairs, lambda: look.is_over))
    try:
        async with aclosing(in_order(_work(source, look, pool), 2 * workers)) as results:
            async for told in results:
                for seen in told:
                    yield seen
    finally:
        look.is_over = True
        await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)
        await asyncio.to_thread(source.wait)
        look.close()


class _Source:
    """Batches, of which a thread that was left behind may still be taking one."""

    def __init__(self, made: Iterator[list[Pair]]) -> None:
        self._made = made
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[list[Pair]]:
        return self

    def __next__(self) -> list[Pair]:
        with self._lock:
            return next(self._made)

    def wait(self) -> None:
        """Until nobody takes any more."""
        with self._lock:
            self._made = iter(())


async def _work(
    source: _Source, look: FolderLook, pool: ThreadPoolExecutor
) -> AsyncGenerator[Coroutine[Any, Any, list[Seen]]]:
    async with aclosing(taken(source, step=1)) as made:
        async for batch in made:
            yield _look(look, pool, batch)


async def _look(look: FolderLook, pool: ThreadPoolExecutor, batch: list[Pair]) -> list[Seen]:
    return await asyncio.get_running_loop().run_in_executor(pool, look.look, batch)
