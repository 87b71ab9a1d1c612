"""A store that notes every call, and at one of them lets something happen.

Calls take their time in turns of the event loop, so that they overlap and overtake each other.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from transfer.stores.contract import Store


@dataclass(frozen=True)
class Call:
    """One call; of what it was given, as far as it has it."""

    name: str
    key: str = ""
    upload_id: str = ""
    number: int = 0


async def _nothing() -> None: ...


@dataclass
class WatchedStore:
    """Decorates a store.

    Attributes:
        strike: awaited at the call number `nth` (from 1; 0: never).
        after: it is called when the call was carried out, and before anybody hears of its answer.
        then: raised by that call and all that follow, which are not carried out.
        calls: all of them, in order.
        struck: the call that `nth` was.
    """

    store: Store
    nth: int = 0
    strike: Callable[[], Awaitable[None]] = field(default=_nothing)
    after: bool = False
    then: Exception | None = None
    calls: list[Call] = field(default_factory=list)
    struck: Call | None = None

    def named(self, *names: str) -> list[Call]:
        """The calls of these names."""
        return [call for call in self.calls if call.name in names]

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.store, name)
        if inspect.iscoroutinefunction(attribute):
            return lambda *arguments, **named: self._call(name, attribute, arguments, named)
        if inspect.isasyncgenfunction(attribute):
            return lambda *arguments, **named: self._iterate(name, attribute, arguments, named)
        return attribute

    async def _call(
        self, name: str, call: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        number = self._note(name, call, arguments, named)
        await self._overlap(number)
        if not self.after or number > self.nth:
            await self._strike_at(number)
        answer = await call(*arguments, **named)
        if self.after and number == self.nth:
            await self._strike_at(number)
        return answer

    async def _iterate(
        self, name: str, call: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> AsyncIterator[Any]:
        number = self._note(name, call, arguments, named)
        await self._overlap(number)
        await self._strike_at(number)
        async for item in call(*arguments, **named):
            yield item

    def _note(
        self, name: str, call: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> int:
        told = inspect.signature(call).bind(*arguments, **named).arguments
        known = {word: told[word] for word in ("key", "upload_id", "number") if word in told}
        self.calls.append(Call(name, **known))
        return len(self.calls)

    async def _overlap(self, number: int) -> None:
        for _ in range(number * 17 % 23):
            await asyncio.sleep(0)

    async def _strike_at(self, number: int) -> None:
        if self.nth and number >= self.nth:
            if self.struck is None:
                self.struck = self.calls[number - 1]
                await self.strike()
            if self.then is not None:
                raise self.then
