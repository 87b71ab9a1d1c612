"""The stream of events: all there is, then each change, until one side ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientPayloadError, ClientResponse

from tests.service.servers import JOB_IDS, Serving, device_view, job_view, serving
from transfer.ledger.phases import Phase
from transfer.service.http.events import encode_event
from transfer.service.http.listener import Listener
from transfer.service.views import Change, DeviceView


@asynccontextmanager
async def streaming(there: Serving) -> AsyncIterator[ClientResponse]:
    """An open stream."""
    headers = {"Authorization": f"Bearer {there.read}"}
    async with there.session.get(there.url + "/v1/events", headers=headers) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        yield answer


async def read_event(answer: ClientResponse) -> tuple[str, Any]:
    """The next event; comments are passed over."""
    name, data = "", None
    while line := (await asyncio.wait_for(answer.content.readline(), 20)).decode():
        if line == "\n" and name:
            return name, data
        field, _, value = line.rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            data = msgspec.json.decode(value)
    raise EOFError


async def test_first_all_there_is_then_what_changes(tmp_path: Path) -> None:
    async with serving(tmp_path) as there, streaming(there) as answer:
        first = [await read_event(answer) for _ in range(4)]
        assert [name for name, _ in first] == ["device", "device", "job", "job"]
        assert [view["folder"] for name, view in first if name == "device"] == ["survey-0", "junk"]
        assert [view["job_id"] for name, view in first if name == "job"] == [JOB_IDS[1], JOB_IDS[0]]
        there.supervisor.tell(Change(None, job_view(0, Phase.COMPLETE)))
        there.supervisor.tell(Change(device_view(2), None))
        name, view = await read_event(answer)
        assert (name, view["phase"]) == ("job", "complete")
        assert await read_event(answer) == ("device", msgspec.to_builtins(device_view(2)))


async def test_a_change_between_snapshot_and_subscription_is_not_lost(tmp_path: Path) -> None:
    async with serving(tmp_path) as there:
        devices = there.supervisor.devices

        async def change_while_asked() -> list[DeviceView]:
            there.supervisor.tell(Change(None, job_view(2)))
            return await devices()

        there.supervisor.devices = change_while_asked  # type: ignore[method-assign]
        async with streaming(there) as answer:
            told = [await read_event(answer) for _ in range(5)]
            assert told[-1][1]["job_id"] == JOB_IDS[2]


async def test_a_silent_stream_shows_that_it_lives(tmp_path: Path) -> None:
    async with serving(tmp_path, heartbeat_s=0.05) as there, streaming(there) as answer:
        for _ in range(4):
            await read_event(answer)
        for _ in range(3):
            assert await asyncio.wait_for(answer.content.readline(), 20) == b": alive\n"
            assert await answer.content.readline() == b"\n"
        there.supervisor.tell(Change(None, job_view(2)))
        assert (await read_event(answer))[1]["job_id"] == JOB_IDS[2]


async def test_streams_are_limited_and_freed(tmp_path: Path) -> None:
    async with serving(tmp_path, streams=2) as there:
        async with streaming(there), streaming(there) as answer:
            await read_event(answer)
            gone = [connection.ended for connection in there.service.server.open]
            status, headers, body = await there.ask("/v1/events")
            assert (status, body["detail"]) == (503, "too many event streams are open")
            assert headers["Retry-After"]
        # The client has closed both; the service sees that without waiting for a heartbeat.
        await asyncio.wait_for(asyncio.gather(*(one.wait() for one in gone)), 20)
        async with asyncio.timeout(10):
            while there.service.streams.open:
                await asyncio.sleep(0)
        assert there.supervisor.subscriptions == []
        async with streaming(there):
            assert there.service.streams.open == 1


async def test_a_stream_ends_when_the_service_stops(tmp_path: Path) -> None:
    async with serving(tmp_path) as there, streaming(there) as answer:
        await read_event(answer)
        there.service.stop()
        rest = await asyncio.wait_for(answer.content.read(), 10)
        assert rest.count(b"event: ") == 3
        assert (await there.ask("/v1/events"))[0] == 503
        assert there.supervisor.subscriptions == []


async def test_an_open_stream_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async with serving(tmp_path) as there, streaming(there) as answer:
        await read_event(answer)
        there.service.stop()
        # With its own time limit far above: streams have to end by themselves.
        await asyncio.wait_for(Listener(there.service.server).stop(60), 10)


async def test_a_reader_that_stops_reading_is_dropped(tmp_path: Path) -> None:
    async with serving(tmp_path, stall_timeout_s=0.3) as there, streaming(there) as answer:
        await read_event(answer)
        (connection,) = there.service.server.open
        flood = asyncio.ensure_future(_flood(there))
        try:
            await asyncio.wait_for(connection.ended.wait(), 20)
        finally:
            flood.cancel()
        with pytest.raises((ClientPayloadError, ConnectionResetError, EOFError)):
            while True:
                await read_event(answer)


async def _flood(there: Serving) -> None:
    """Changes without end; some at a time, for a queue that has none."""
    while there.supervisor.subscriptions:
        if there.supervisor.subscriptions[0].qsize() < 100:
            there.supervisor.tell(Change(None, job_view(0)))
        await asyncio.sleep(0)


async def test_head_tells_the_type_and_ends(tmp_path: Path) -> None:
    async with serving(tmp_path) as there:
        status, headers, body = await there.ask("/v1/events", method="HEAD")
        assert (status, body) == (200, b"")
        assert headers["Content-Type"].startswith("text/event-stream")


def test_an_event_is_one_line_of_data_whatever_it_holds() -> None:
    hostile = msgspec.structs.replace(device_view(0), folder="a\n\nevent: job\ndata: {}\r\u2028")
    event = encode_event(hostile)
    assert event.count(b"\n") == 3
    assert b"\r" not in event
    assert event.endswith(b"\n\n")
