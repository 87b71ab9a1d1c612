"""Subscriptions: nobody misses the last state, slowness costs no more than names of what changed."""

from __future__ import annotations

import asyncio

import pytest

from transfer.service.ingest import changes as module
from transfer.service.ingest.changes import Changes, Subject
from transfer.service.views import Change, DeviceView


class Desk:
    """States that are shown, by folder."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.changes = Changes(self._render)

    async def _render(self, subject: Subject) -> Change | None:
        await self.go_on.wait()
        state = self.states.get(subject[1])
        if state is None:
            return None
        return Change(DeviceView(subject[1], None, None, None, "arriving", state, None, None, None), None)

    def set(self, folder: str, state: str) -> None:
        self.states[folder] = state
        self.changes.publish("device", folder)


def shown(change: Change) -> tuple[str, str | None]:
    assert change.device is not None
    return change.device.folder, change.device.reason


async def test_states_between_are_left_out_and_the_last_is_told_to_each() -> None:
    desk = Desk()
    async with desk.changes.subscribe() as first, desk.changes.subscribe() as second:
        for number in range(1000):
            desk.set("a", str(number))
            desk.set("b", str(number))
        for reader in (first, second):
            assert [shown(await anext(reader)) for _ in range(2)] == [("a", "999"), ("b", "999")]
        desk.set("b", "new")
        assert shown(await anext(second)) == ("b", "new")


async def test_what_there_is_nothing_to_tell_of_is_left_out() -> None:
    desk = Desk()
    async with desk.changes.subscribe() as reader:
        desk.changes.publish("device", "unknown")
        desk.set("a", "x")
        assert shown(await anext(reader)) == ("a", "x")


async def test_who_gives_up_waiting_loses_nothing() -> None:
    desk = Desk()
    async with desk.changes.subscribe() as reader:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await anext(reader)
        desk.go_on.clear()
        desk.set("a", "x")
        waiting = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0)  # it has taken the name, and waits for the state
        waiting.cancel()
        await asyncio.wait([waiting])
        desk.go_on.set()
        assert shown(await anext(reader)) == ("a", "x")


async def test_who_never_reads_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SUBJECTS", 10)
    desk = Desk()
    async with desk.changes.subscribe() as reader:
        for number in range(100):
            desk.set(str(number), "x")
        assert [change async for change in reader] == []


async def test_the_end_ends_all_and_also_those_that_come_later() -> None:
    desk = Desk()
    async with desk.changes.subscribe() as reader:
        waiting = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0)
        desk.changes.close()
        with pytest.raises(StopAsyncIteration):
            await waiting
    async with desk.changes.subscribe() as reader:
        assert [change async for change in reader] == []
