"""The budget of bytes: never more held than allowed, every byte given back once, nobody waits for ever."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.jobs.import_.budget import Budget, Hold

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, 30)),
        st.tuples(st.just("let go"), st.integers(0, 50)),
        st.tuples(st.just("share"), st.integers(0, 50)),
        st.tuples(st.just("cancel"), st.integers(0, 50)),
        st.tuples(st.just("raise"), st.integers(0, 40)),
        st.tuples(st.just("turn"), st.just(0)),
    ),
    max_size=60,
)


class Model:
    """Takers as tasks, and what each of them holds."""

    def __init__(self, total: int) -> None:
        self.budget = Budget(total)
        self.total = total
        self.waiting: list[tuple[int, asyncio.Task[Hold]]] = []
        self.held: list[tuple[int, Hold]] = []

    async def collect(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        for size, task in list(self.waiting):
            if task.done():
                self.waiting.remove((size, task))
                if not task.cancelled():
                    self.held.append((size, task.result()))

    def check(self) -> None:
        # A hold that is shared stands here once for each share.
        holds = {id(hold): size for size, hold in self.held}
        bytes_held = sum(holds.values())
        assert self.budget.held_bytes == bytes_held
        assert bytes_held <= self.total or sum(size > 0 for size in holds.values()) == 1
        if self.waiting:  # the first in line waits only because it does not fit
            assert bytes_held and bytes_held + self.waiting[0][0] > self.total

    async def step(self, what: str, number: int) -> None:
        if what == "take":
            self.waiting.append((number, asyncio.create_task(self.budget.take(number))))
        elif what == "let go" and self.held:
            self.held.pop(number % len(self.held))[1].let_go()
        elif what == "share" and self.held:
            size, hold = self.held[number % len(self.held)]
            self.held.append((size, hold.share()))
        elif what == "cancel" and self.waiting:
            self.waiting[number % len(self.waiting)][1].cancel()
        elif what == "raise":
            self.total = max(self.total, number)
            self.budget.raise_to(number)


@given(total=st.integers(1, 40), steps=STEPS, eager=st.booleans())
def test_what_is_held_is_what_was_taken_and_not_given_back(
    total: int, steps: list[tuple[str, int]], eager: bool
) -> None:
    async def play() -> None:
        model = Model(total)
        for what, number in steps:
            await model.step(what, number)
            if eager or what == "turn":
                await model.collect()
                model.check()
        await model.collect()
        model.check()
        while model.held or model.waiting:  # all let go: everyone who waited is served, nothing is left
            model.held.pop()[1].let_go()
            await model.collect()
            model.check()
        assert model.budget.held_bytes == 0

    asyncio.run(play())


async def test_raising_the_budget_wakes_who_fits_now() -> None:
    budget = Budget(8)
    first = await budget.take(8)
    waiting = asyncio.create_task(budget.take(8))
    await asyncio.sleep(0)
    budget.raise_to(16)
    (await waiting).let_go()
    first.let_go()
    assert budget.held_bytes == 0


async def test_served_and_cancelled_in_the_same_moment_takes_nothing() -> None:
    budget = Budget(1)
    first = await budget.take(1)
    waiting = asyncio.create_task(budget.take(1))
    await asyncio.sleep(0)
    first.let_go()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert budget.held_bytes == 0


async def test_a_cancelled_first_in_line_does_not_hold_up_the_next() -> None:
    budget = Budget(10)
    held = await budget.take(5)
    large = asyncio.create_task(budget.take(9))
    small = asyncio.create_task(budget.take(3))
    await asyncio.sleep(0)
    large.cancel()
    (await small).let_go()
    held.let_go()
    assert budget.held_bytes == 0


async def test_letting_go_twice_is_a_fault() -> None:
    hold = await Budget(1).take(1)
    hold.let_go()
    with pytest.raises(ValueError, match="already"):
        hold.let_go()
    with pytest.raises(ValueError, match="already"):
        hold.share()
