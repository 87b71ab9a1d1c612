"""A service that tells the page whatever a test wants: every state of devices, jobs and connection, at once.

It answers with the values of `service.views` and serves the page through the real `http.page_files`, so
that neither JSON nor headers can drift from the real service. It imports nothing, checks little, and forgets
all when its block is left. It runs in a thread of its own; a test calls its methods from another.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from transfer.ledger.phases import Phase
from transfer.service.http.page_files import INDEX, page_answer, read_page
from transfer.service.views import (
    Action,
    CountersView,
    DeviceList,
    DeviceView,
    EntryPage,
    EntryView,
    JobPage,
    JobView,
    ProgressView,
    TrackingEvent,
    TrackingView,
)

OPERATE = "trt_operate"
READ = "trt_read"
GIB = 1 << 30
STEPS = ("prepared", "with-customer", "in-transit", "delivered", "docked")
_BLAKE3 = "74c09a06de654ab265ee0c38dae3527e9f313169c15e421a84f0aac2c984a3bd"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_device(folder: str, **changes: Any) -> DeviceView:
    """A device that was accepted, with what a test wants otherwise."""
    device = DeviceView(folder, f"id-{folder}", folder, 1, "accepted", None, 149 * GIB, None, None)
    return msgspec.structs.replace(device, **changes)


def make_job(job_id: str, **changes: Any) -> JobView:
    """A job that waits for its turn, with what a test wants otherwise."""
    job = JobView(
        job_id=job_id,
        device_id=f"device-{job_id}",
        device_job=job_id,
        ordinal=1,
        folder=job_id,
        destination="s3://archive/survey/",
        endpoint="",
        phase=Phase.RECEIVED,
        paused=False,
        waiting=None,
        created="2026-11-22T08:00:00Z",
        changed="2026-11-22T08:00:00Z",
        error="",
        counters=CountersView(0, 0, 0, 0, 0),
        progress=None,
        actions=[],
    )
    return msgspec.structs.replace(job, **changes)


def make_progress(part: float, total_gib: float = 149, **changes: Any) -> ProgressView:
    """Progress of a job of which `part` is imported and a little more is verified."""
    total = int(total_gib * GIB)
    progress = ProgressView(
        files_total=12_000,
        bytes_total=total,
        files_done=int(12_000 * part),
        bytes_verified=min(total, int(total * (part + 0.03))),
        bytes_imported=round(total * part),
        bytes_s=212.0 * (1 << 20),
        files_s=18.0,
        remaining_s=total * (1 - part) / (212 << 20),
    )
    return msgspec.structs.replace(progress, **changes)


def make_tracking(times: list[str], due: str, *, simulated: list[str] | None = None) -> TrackingView:
    """A shipment that came as far as there are times."""
    moments = zip(STEPS, simulated or times, times, strict=False)
    events = [TrackingEvent(state, paper, real) for state, paper, real in moments]
    return TrackingView("b4d4c1f0-6c5e-4c0f-9d3d-2a5f7c1e8a90", events[-1].state, due, "/mnt/ssd-07", events)


def make_entries(count: int, error: str = "pack 3 frame 12: BLAKE3 differs") -> list[EntryView]:
    """Entries that fell."""
    return [
        EntryView(f"site-a/run-{number:05}.h5", 8_400_000 + number, _BLAKE3, "", error)
        for number in range(count)
    ]


@dataclass
class StubService:
    """What it tells; changed by the test, read by the page.

    Attributes:
        failures, files: by job id; names of files to their content.
        answers: what an action of a job gives, by name: a function from the job to its new view, or a status
            with a problem's detail.
        asked: all requests of the API, as "METHOD path?query".
    """

    roles: dict[str, str] = field(default_factory=lambda: {OPERATE: "operate", READ: "read"})
    devices: dict[str, DeviceView] = field(default_factory=dict)
    jobs: dict[str, JobView] = field(default_factory=dict)
    older: list[JobView] = field(default_factory=list)
    failures: dict[str, list[EntryView]] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    answers: dict[str, Callable[[JobView], JobView] | tuple[int, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    is_down: bool = False
    url: str = ""
    _loop: asyncio.AbstractEventLoop | None = None
    _streams: set[asyncio.Queue[bytes | None]] = field(default_factory=set)

    def tell(self, *news: DeviceView | JobView) -> None:
        """Devices and jobs as they are now; open pages hear of them."""
        for one in news:
            if isinstance(one, DeviceView):
                self.devices[one.folder] = one
            else:
                self.jobs[one.job_id] = one
        self._send(b"".join(map(_event, news)))

    def send_raw(self, *pieces: bytes) -> None:
        """Bytes into every stream, each piece by itself."""
        for piece in pieces:
            self._send(piece)

    def cut(self) -> None:
        """End all streams and refuse every request of the API until `mend`."""
        self.is_down = True
        self._send(None)

    def mend(self) -> None:
        """Answer again."""
        self.is_down = False

    def end_streams(self) -> None:
        """End all streams, as a service does that stops in order."""
        self._send(None)

    @property
    def watchers(self) -> int:
        """How many pages follow the events."""
        return len(self._streams)

    def _send(self, piece: bytes | None) -> None:
        assert self._loop is not None
        for stream in list(self._streams):
            self._loop.call_soon_threadsafe(stream.put_nowait, piece)

    def application(self) -> web.Application:
        """The stub as an application of aiohttp."""
        application = web.Application(middlewares=[self._guard])
        application.router.add_get("/", self._page)
        application.router.add_get("/page/{name}", self._page)
        application.router.add_get("/v1/whoami", self._whoami)
        application.router.add_get("/v1/devices", self._devices)
        application.router.add_get("/v1/jobs", self._jobs)
        application.router.add_get("/v1/jobs/{job_id}/failures", self._failures)
        application.router.add_get("/v1/jobs/{job_id}/report", self._report)
        application.router.add_get("/v1/jobs/{job_id}/report/{name}", self._report)
        application.router.add_post("/v1/jobs/{job_id}/{action}", self._act)
        application.router.add_get("/v1/events", self._events)
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Answer) -> web.StreamResponse:
        if not request.path.startswith("/v1/"):
            return await handler(request)
        self.asked.append(f"{request.method} {request.path_qs}")
        if self.is_down:
            return _problem(503, "The service stops.")
        if self._role(request) is None:
            return _problem(401, "A valid token is needed.")
        return await handler(request)

    def _role(self, request: web.Request) -> str | None:
        return self.roles.get(request.headers.get("Authorization", "").removeprefix("Bearer "))

    async def _page(self, request: web.Request) -> web.Response:
        return page_answer(request, read_page()[request.match_info.get("name", INDEX)])

    async def _whoami(self, request: web.Request) -> web.Response:
        return _json({"name": "rack-2", "role": self._role(request)})

    async def _devices(self, _request: web.Request) -> web.Response:
        return _json(DeviceList(list(self.devices.values())))

    async def _jobs(self, request: web.Request) -> web.Response:
        limit = int(request.query["limit"])
        if "before" not in request.query:
            return _json(JobPage(list(self.jobs.values())[:limit], "0" if self.older else None))
        start = int(request.query["before"])
        end = start + limit
        return _json(JobPage(self.older[start:end], str(end) if end < len(self.older) else None))

    async def _failures(self, request: web.Request) -> web.Response:
        entries = self.failures.get(request.match_info["job_id"], [])
        start = int(request.query.get("after", "0"))
        end = start + int(request.query["limit"])
        return _json(EntryPage(entries[start:end], str(end) if end < len(entries) else None))

    async def _report(self, request: web.Request) -> web.Response:
        name = request.match_info.get("name", "report.json")
        content = self.files.get(request.match_info["job_id"], {}).get(name)
        return _problem(404, "There is no such file.") if content is None else web.Response(body=content)

    async def _act(self, request: web.Request) -> web.Response:
        job = self.jobs[request.match_info["job_id"]]
        if self._role(request) != "operate":
            return _problem(403, "The token does not allow this.")
        answer = self.answers[Action(request.match_info["action"])]
        if isinstance(answer, tuple):
            return _problem(*answer)
        changed = answer(job)
        self.tell(changed)
        return _json(changed)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        async with self._stream() as pieces:
            async for piece in pieces:
                await response.write(piece)
        return response

    @asynccontextmanager
    async def _stream(self) -> AsyncIterator[AsyncIterator[bytes]]:
        stream: asyncio.Queue[bytes | None] = asyncio.Queue()
        stream.put_nowait(
            b": here\n\n" + b"".join(map(_event, [*self.devices.values(), *self.jobs.values()]))
        )
        self._streams.add(stream)
        try:
            yield _until_none(stream)
        finally:
            self._streams.discard(stream)


async def _until_none(stream: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
    while (piece := await stream.get()) is not None:
        yield piece


def _event(news: msgspec.Struct) -> bytes:
    name = b"device" if isinstance(news, DeviceView) else b"job"
    return b"event: " + name + b"\ndata: " + msgspec.json.encode(news) + b"\n\n"


def _json(value: object, status: int = 200, content_type: str = "application/json") -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type=content_type)


def _problem(status: int, detail: str) -> web.Response:
    problem: Mapping[str, object] = {
        "type": "about:blank",
        "title": "Problem",
        "status": status,
        "detail": detail,
    }
    return _json(problem, status, "application/problem+json")


@contextmanager
def stub_service() -> Iterator[StubService]:
    """A running stub."""
    stub = StubService()
    ready = threading.Event()
    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(stub, ready, stop)))
    thread.start()
    try:
        assert ready.wait(10)
        yield stub
    finally:
        assert stub._loop is not None
        stub._loop.call_soon_threadsafe(stop.set)
        thread.join()


async def _serve(stub: StubService, ready: threading.Event, stop: asyncio.Event) -> None:
    stub._loop = asyncio.get_running_loop()
    runner = web.AppRunner(stub.application(), handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        stub.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        ready.set()
        await stop.wait()
        stub.end_streams()
    finally:
        await runner.cleanup()
