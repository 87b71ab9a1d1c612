"""A bound on the bytes that are held at once; whoever wants more waits for others to let go."""

from __future__ import annotations

import asyncio
from collections import deque


class Budget:
    """So many bytes. First come, first served; a single wish beyond the whole budget is met when nothing else is held."""

    def __init__(self, total_bytes: int) -> None:
        self._total = total_bytes
        self._held = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size_bytes: int) -> None:
        """Wait until `size_bytes` more may be held."""
        if not self._waiting and self._fits(size_bytes):
            self._held += size_bytes
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size_bytes, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(size_bytes)
            raise

    def give_back(self, size_bytes: int) -> None:
        """Let go of bytes."""
        self._held -= size_bytes
        while self._waiting and (self._waiting[0][1].cancelled() or self._fits(self._waiting[0][0])):
            size, turn = self._waiting.popleft()
            if not turn.cancelled():
                self._held += size
                turn.set_result(None)

    def raise_to(self, total_bytes: int) -> None:
        """Allow at least so many bytes from now on."""
        self._total = max(self._total, total_bytes)

    def _fits(self, size_bytes: int) -> bool:
        return self._held + size_bytes <= self._total or not self._held
