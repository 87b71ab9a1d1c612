"""A bound on the bytes that are held at once; whoever wants more waits for others to let go.

Rules: first come, first served; the bytes held never go beyond the whole budget, but for one wish that is
larger than it, which is met when nothing else is held. What was taken is a `Hold`, shared by all that still
need the bytes; the last one to let go gives them back, so that they come back exactly once however a job
ends.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Hold:
    """Bytes that were taken from a budget; begins with one share, that of whoever took them."""

    __slots__ = ("_budget", "_shares", "_size_bytes")

    def __init__(self, budget: Budget, size_bytes: int) -> None:
        self._budget = budget
        self._size_bytes = size_bytes
        self._shares = 1

    def share(self) -> Hold:
        """One more needs the bytes, and will let go of them."""
        if not self._shares:
            raise ValueError("the bytes were given back already")
        self._shares += 1
        return self

    def let_go(self) -> None:
        """One that needed the bytes does not any more."""
        if not self._shares:
            raise ValueError("the bytes were given back already")
        self._shares -= 1
        if not self._shares:
            self._budget.give_back(self._size_bytes)


class Budget:
    """So many bytes, in one event loop."""

    def __init__(self, total_bytes: int) -> None:
        self._total = total_bytes
        self._held = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def held_bytes(self) -> int:
        """How much is held now."""
        return self._held

    async def take(self, size_bytes: int) -> Hold:
        """Wait until `size_bytes` more may be held. Whoever is cancelled while waiting has taken nothing."""
        if self._waiting or not self._fits(size_bytes):
            await self._turn(size_bytes)
        else:
            self._held += size_bytes
        return Hold(self, size_bytes)

    def give_back(self, size_bytes: int) -> None:
        """Let go of bytes; for `Hold` to call."""
        self._held -= size_bytes
        self._serve()

    def raise_to(self, total_bytes: int) -> None:
        """Allow at least so many bytes from now on."""
        self._total = max(self._total, total_bytes)
        self._serve()

    async def _turn(self, size_bytes: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size_bytes, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.remove((size_bytes, turn))
                self._serve()  # it may have been the one that did not fit
            else:  # served and cancelled in the same moment
                self.give_back(size_bytes)
            raise

    def _serve(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size_bytes, turn = self._waiting[0]
            if turn.cancelled():  # it takes itself out as soon as it runs
                return
            self._waiting.popleft()
            self._held += size_bytes
            turn.set_result(None)

    def _fits(self, size_bytes: int) -> bool:
        return self._held + size_bytes <= self._total or not self._held
