from __future__ import annotations

import asyncio

import pytest

from transfer.stores.pacing import Pace


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds
        await asyncio.sleep(0)


def paced(clock: Clock, rate, burst_s: float = 0.25) -> Pace:
    return Pace(rate, burst_s=burst_s, clock=clock, sleep=clock.sleep)


@pytest.mark.parametrize("slice_bytes", [1, 100, 1000, 100_000])
async def test_the_rate_is_kept_over_time(slice_bytes: int) -> None:
    clock = Clock()
    pace = paced(clock, lambda: 1000.0)
    for _ in range(200_000 // slice_bytes if slice_bytes > 1 else 5000):
        await pace.take(slice_bytes)
    await pace.take(1)  # what was let through in advance is paid for by whoever comes next
    total = (200_000 if slice_bytes > 1 else 5000) + 1
    assert total / 1000 - 1 <= clock.now_s <= total / 1000 + 0.1


async def test_savings_are_bounded() -> None:
    clock = Clock()
    pace = paced(clock, lambda: 1000.0, burst_s=0.25)
    await pace.take(1)
    clock.now_s += 3600
    before = clock.now_s
    for _ in range(10):
        await pace.take(100)
    assert clock.now_s - before >= (1000 - 250 - 100) / 1000


async def test_no_limit_does_not_wait() -> None:
    clock = Clock()
    pace = paced(clock, lambda: None)
    for _ in range(1000):
        await pace.take(10**9)
    assert clock.slept == []


async def test_a_timetable_changes_the_rate_while_somebody_waits() -> None:
    clock = Clock()
    pace = paced(clock, lambda: 1.0 if clock.now_s < 10 else 1e6)
    await pace.take(1)
    await pace.take(1_000_000)
    await pace.take(1)
    assert 10 <= clock.now_s <= 13


async def test_a_pause_ends_when_the_rate_does() -> None:
    clock = Clock()
    pace = paced(clock, lambda: 0.0 if clock.now_s < 60 else None)
    await pace.take(1)
    assert 60 <= clock.now_s <= 61


async def test_callers_take_turns() -> None:
    clock = Clock()
    pace = paced(clock, lambda: 1000.0)
    served: list[int] = []

    async def send(name: int) -> None:
        for _ in range(20):
            await pace.take(100)
            served.append(name)

    async with asyncio.TaskGroup() as group:
        for name in range(4):
            group.create_task(send(name))
    for start in range(0, len(served), 4):
        assert sorted(served[start : start + 4]) == [0, 1, 2, 3]
