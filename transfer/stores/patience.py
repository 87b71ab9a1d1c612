"""How often and how patiently a failed call is tried again; `core.retry` says which failures pass."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from transfer.core.retry import backoff, is_transient, wait_s
from transfer.errors import StoreError


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently.

    Attributes:
        retries: attempts after the first, of one call; of a listing or download, since it last made progress.
        probe_retries: of the first contact with an endpoint, where a wrong address should be told soon.
        base_s: ceiling of the first wait.
        ceiling_s: of every wait.
        random: numbers from 0 to 1.
        sleep: waits that many seconds.
    """

    retries: int = 8
    probe_retries: int = 2
    base_s: float = 0.2
    ceiling_s: float = 20.0
    random: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep


class Patience:
    """Waits after a failure, as long and as often as the policy says."""

    def __init__(self, policy: RetryPolicy, retries: int) -> None:
        self._policy = policy
        self._retries = retries
        self.reset()

    def reset(self) -> None:
        """Progress was made: begin anew."""
        policy = self._policy
        self._waits = backoff(
            policy.random, retries=self._retries, base_s=policy.base_s, ceiling_s=policy.ceiling_s
        )

    async def bear(self, error: StoreError) -> None:
        """Wait before the next attempt, or raise the error where there is to be none."""
        wait = next(self._waits, None) if is_transient(error) else None
        if wait is None:
            raise error
        await self._policy.sleep(wait_s(wait, error))
