"""A limit on bytes a second, shared by all connections of a store.

`Pace.take` is awaited by the transport for every slice of a body that it sends or receives, so that a line is
filled evenly; taken for a whole part at once, a slow limit would send many MiB in one gulp and then pause.
Callers are served in the order they came, each for one slice: none of them starves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

SLICE_BYTES = 512 * 1024  # less costs processor time for each, more would be sent in gulps
_LOOK_AGAIN_S = 1.0  # how soon a timetable's new rate, or the end of a pause, is seen


class Pace:
    """A token bucket whose rate may change while it is in use."""

    def __init__(
        self,
        rate: Callable[[], float | None],
        *,
        burst_s: float = 0.25,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Start with an empty bucket.

        Args:
            rate: asked again and again; bytes a second, 0 for a pause, None for no limit.
            burst_s: how many seconds' worth may be saved up while nothing is sent.
            clock: monotonic seconds.
            sleep: waits that long.
        """
        self._rate = rate
        self._burst_s = burst_s
        self._clock = clock
        self._sleep = sleep
        self._tokens = 0.0
        self._filled_at = clock()
        self._turn = asyncio.Lock()  # asyncio's locks are first come, first served

    @property
    def is_open(self) -> bool:
        """Whether bytes pass without waiting now."""
        return self._rate() is None and not self._turn.locked()

    async def take(self, size_bytes: int) -> None:
        """Wait until that many bytes may pass. More than the burst passes too, and is paid for afterwards."""
        if self.is_open:
            return
        async with self._turn:
            while (rate := self._rate()) is not None:
                self._fill(rate)
                if self._tokens > 0:
                    self._tokens -= size_bytes
                    return
                await self._sleep(self._until_positive_s(rate))

    def _fill(self, rate: float) -> None:
        now = self._clock()
        self._tokens = min(self._tokens + (now - self._filled_at) * rate, self._burst_s * rate)
        self._filled_at = now

    def _until_positive_s(self, rate: float) -> float:
        """A little more than it takes, so that rounding cannot leave the bucket at zero."""
        return min(_LOOK_AGAIN_S, (1 - self._tokens) / rate) if rate > 0 else _LOOK_AGAIN_S


UNLIMITED = Pace(lambda: None)
