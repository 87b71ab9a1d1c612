"""A store that fails the N-th call, and takes its time in turns, so that calls overlap."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from transfer.stores.contract import Store

WRITES = ("probe", "put", "copy", "create_upload", "put_part", "complete_upload", "abort_upload")


class FaultyStore:
    """Decorates a store.

    Attributes:
        calls: their names, in order.
        fired: the call that failed; empty when none did.
        at_once: how many were under way at most.
        at_abort: how many were under way when uploads were aborted.

    Args:
        store: what is decorated.
        nth: which call fails, from 1; 0 for none.
        error: what is raised.
        after: the call is carried out and its answer is lost.
    """

    def __init__(
        self, store: Store, nth: int = 0, error: Exception | None = None, *, after: bool = False
    ) -> None:
        self.calls: list[str] = []
        self.fired = ""
        self.at_once = 0
        self.at_abort = 0
        self._now = 0
        self._store = store
        self._nth = nth
        self._error = error
        self._after = after

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)
        return self._counted(name, call) if name in WRITES else call

    def _counted(self, name: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def counted(*arguments: Any, **named: Any) -> Any:
            self.calls.append(name)
            number = len(self.calls)
            if name == "abort_upload":
                self.at_abort += self._now
            self._now += 1
            self.at_once = max(self.at_once, self._now)
            try:
                for _ in range(number * 17 % 23):  # the loop's turns, no time: some calls overtake others
                    await asyncio.sleep(0)
                return await self._carry_out(number, name, lambda: call(*arguments, **named))
            finally:
                self._now -= 1

        return counted

    async def _carry_out(self, number: int, name: str, call: Callable[[], Awaitable[Any]]) -> Any:
        if number != self._nth or self._error is None:
            return await call()
        self.fired = name
        if self._after:
            await call()
        raise self._error
