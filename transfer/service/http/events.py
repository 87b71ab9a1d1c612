"""Server-sent events (WHATWG HTML §9.2): the state of everything, then each change as it happens.

    event: device | job
    data: a DeviceView or a JobView, one line of JSON

Rules:
    - First all devices and the newest jobs, then changes. The subscription begins before the
      snapshot is taken: a change in between is sent again, never lost.
    - A comment line now and then tells the client, and every proxy between, that the line is alive.
    - Their number is limited. A client that does not read loses intermediate states first (the subscription
      is bounded), then its connection (server.py).
    - A stream ends when the service stops, and as soon as its client is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec
from aiohttp import web

from transfer.service.http.answers import common_headers
from transfer.service.http.limits import Limits
from transfer.service.http.problems import Refusal
from transfer.service.http.server import connection_of
from transfer.service.ingest.supervisor import Supervisor
from transfer.service.views import Change, DeviceView, JobView

MEDIA_TYPE: Final = "text/event-stream"

_HEARTBEAT: Final = b": alive\n\n"
_encoder: Final = msgspec.json.Encoder()


class EventStreams:
    """The streams that are open.

    Args:
        supervisor: whose changes are told.
        limits: of number and time.

    Attributes:
        open: how many there are.
    """

    def __init__(self, supervisor: Supervisor, limits: Limits) -> None:
        self._supervisor = supervisor
        self._limits = limits
        self._stopping = asyncio.Event()
        self.open = 0

    def stop(self) -> None:
        """End all streams."""
        self._stopping.set()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Tell events until the client goes or the service stops.

        Raises:
            Refusal: 503; there are too many streams, or the service stops.
        """
        if self.open >= self._limits.streams or self._stopping.is_set():
            reason = "the service stops" if self._stopping.is_set() else "too many event streams are open"
            raise Refusal(503, reason, headers={"Retry-After": "10"})
        response = web.StreamResponse(headers=common_headers() | {"X-Accel-Buffering": "no"})
        response.content_type, response.charset = MEDIA_TYPE, "utf-8"
        if request.method == "HEAD":
            response.force_close()
            await response.prepare(request)
            return response
        self.open += 1
        try:
            await self._tell(request, response)
        finally:
            self.open -= 1
        return response

    async def _tell(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        response.force_close()  # a stream has no length: its end is the connection's
        async with self._supervisor.changes() as changes:
            snapshot = await self._snapshot()
            await response.prepare(request)
            for event in snapshot:
                await response.write(event)
            await self._follow(changes, response, connection_of(request).ended)

    async def _snapshot(self) -> list[bytes]:
        devices = await self._supervisor.devices()
        jobs = (await self._supervisor.jobs(before=None, limit=self._limits.snapshot_jobs)).items
        return [*map(encode_event, devices), *map(encode_event, jobs)]

    async def _follow(
        self, changes: AsyncIterator[Change], response: web.StreamResponse, ended: asyncio.Event
    ) -> None:
        ends = [asyncio.ensure_future(event.wait()) for event in (self._stopping, ended)]
        following = asyncio.ensure_future(anext(changes, None))
        try:
            while not any(end.done() for end in ends):
                await asyncio.wait(
                    [following, *ends], timeout=self._limits.heartbeat_s, return_when=asyncio.FIRST_COMPLETED
                )
                if not following.done():
                    await response.write(_HEARTBEAT)
                    continue
                change = following.result()
                if change is None:
                    return
                await response.write(encode_change(change))
                following = asyncio.ensure_future(anext(changes, None))
        finally:
            await _cancel([following, *ends])


def encode_change(change: Change) -> bytes:
    """A change as an event."""
    view = change.device or change.job
    return encode_event(view) if view is not None else b""


def encode_event(view: DeviceView | JobView) -> bytes:
    """A view as an event; JSON has no line ends in it."""
    kind = b"device" if isinstance(view, DeviceView) else b"job"
    return b"event: %b\ndata: %b\n\n" % (kind, _encoder.encode(view))


async def _cancel(tasks: Sequence[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
