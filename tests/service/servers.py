"""The HTTP side of the service on a port of 127.0.0.1, over a supervisor that a test holds in its hands."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientSession

from transfer.device.clock import timestamp
from transfer.ledger.phases import Phase
from transfer.ledger.values import ObjectState
from transfer.service.http.access import KnownTokens
from transfer.service.http.app import HttpService
from transfer.service.http.limits import Limits
from transfer.service.http.listener import Listener
from transfer.service.http.token_file import change_tokens
from transfer.service.http.tokens import Role, TokenRecord, digest_of, new_token
from transfer.service.ingest.totals import JobTotals, Totals
from transfer.service.refusals import NoSuchJobError, NotNowError
from transfer.service.views import (
    Action,
    Change,
    CountersView,
    DeviceView,
    EntryPage,
    EntryView,
    JobPage,
    JobView,
    ProgressView,
    TrackingEvent,
    TrackingView,
)

JOB_IDS = [f"00000000-0000-5000-8000-{number:012d}" for number in range(3)]
UNKNOWN_JOB = "ffffffff-0000-5000-8000-000000000000"
LOG = logging.getLogger("transfer.service.test")


def job_view(number: int, phase: Phase = Phase.IMPORTING) -> JobView:
    """A job with everything in it that a job can have."""
    running = phase is Phase.IMPORTING
    return JobView(
        job_id=JOB_IDS[number],
        device_id=f"device-{number}",
        device_job="survey",
        ordinal=number + 1,
        folder=f"survey-{number}" if running else None,
        destination="s3://archive/survey/",
        endpoint="http://127.0.0.1:1",
        phase=phase,
        paused=False,
        waiting=None if running else "the store is away",
        created="2026-11-22T17:00:00Z",
        changed="2026-11-22T17:30:00Z",
        error="",
        counters=CountersView(objects=5, bytes=500, failed=1, skipped=2, superseded=3),
        progress=ProgressView(10, 1000, 6, 600, 500, 12.5, None, 40.0) if running else None,
        actions=list(Action),
    )


def device_view(number: int) -> DeviceView:
    """A device that its carrier has brought."""
    event = TrackingEvent("docked", "2026-11-22T17:00:00Z", "2026-11-22T17:00:00Z")
    tracking = TrackingView("shipment", "docked", "2026-11-23T00:00:00Z", "site-a", [event])
    return DeviceView(
        f"survey-{number}",
        f"device-{number}",
        "survey",
        number + 1,
        "accepted",
        None,
        1000,
        tracking,
        JOB_IDS[number],
    )


class HandHeldSupervisor:
    """A supervisor whose state a test sets; it does nothing by itself."""

    def __init__(self) -> None:
        self.found_devices = [
            device_view(0),
            DeviceView("junk", None, None, None, "refused", "why", None, None, None),
        ]
        self.found_jobs = {JOB_IDS[0]: job_view(0), JOB_IDS[1]: job_view(1, Phase.FAILED)}
        self.asked: list[tuple[Any, ...]] = []
        self.error: Exception | None = None
        self.trouble: list[str] = []
        self.files: dict[tuple[str, str], str] = {}
        self.subscriptions: list[asyncio.Queue[Change | None]] = []
        self.subscribed = asyncio.Event()

    def _note(self, *asked: Any) -> None:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error

    async def devices(self) -> list[DeviceView]:
        self._note("devices")
        return self.found_devices

    async def jobs(self, *, before: str | None = None, limit: int = 100) -> JobPage:
        self._note("jobs", before, limit)
        items = sorted(self.found_jobs.values(), key=lambda job: job.job_id, reverse=True)
        return JobPage(items[:limit], "7" if len(items) > limit else None)

    async def job(self, job_id: str) -> JobView:
        self._note("job", job_id)
        if job_id not in self.found_jobs:
            raise NoSuchJobError(f"there is no job {job_id}")
        return self.found_jobs[job_id]

    async def entries(
        self, job_id: str, state: ObjectState, *, after: str | None = None, limit: int = 100
    ) -> EntryPage:
        self._note("entries", job_id, state, after, limit)
        await self.job(job_id)
        return EntryPage(
            [EntryView("key", 3, "ab" * 32, '"etag"', "why" if state == "failed" else "")], "0.1"
        )

    async def act(self, job_id: str, action: Action) -> JobView:
        self._note("act", job_id, action)
        view = await self.job(job_id)
        if view.phase is Phase.FAILED and action is Action.PAUSE:
            raise NotNowError("the job has ended", remedy="retry it")
        return view

    def report_file(self, job_id: str, name: str) -> str | None:
        return self.files.get((job_id, name))

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[Change]]:
        queue: asyncio.Queue[Change | None] = asyncio.Queue()
        self.subscriptions.append(queue)
        self.subscribed.set()
        try:
            yield self._read(queue)
        finally:
            self.subscriptions.remove(queue)

    @staticmethod
    async def _read(queue: asyncio.Queue[Change | None]) -> AsyncIterator[Change]:
        while (change := await queue.get()) is not None:
            yield change

    def tell(self, change: Change) -> None:
        for queue in self.subscriptions:
            queue.put_nowait(change)

    def problems(self) -> list[str]:
        return self.trouble

    def totals(self) -> Totals:
        self._note("totals")
        jobs = [
            JobTotals(job.job_id, job.device_id, job.phase, False, 5, 499, 1, 2, 3, 600, 500)
            for job in self.found_jobs.values()
        ]
        return Totals(jobs, running=1, queued=4, waiting=2)


@dataclass
class Serving:
    """A service that listens.

    Attributes:
        read, operate: a token of each role.
    """

    url: str
    service: HttpService
    supervisor: HandHeldSupervisor
    tokens: Path
    read: str
    operate: str
    session: ClientSession = field(repr=False)

    async def ask(
        self, path: str, *, method: str = "GET", token: str | None = "", **more: Any
    ) -> tuple[int, Any, Any]:
        """Status, headers and body (JSON as values) of an answer; `token` None for none at all."""
        headers = {"Authorization": f"Bearer {token or self.operate}"} if token is not None else {}
        headers |= more.pop("headers", {})
        async with self.session.request(method, self.url + path, headers=headers, **more) as answer:
            body: Any = await answer.read()
            if body and answer.content_type.endswith("json"):
                body = msgspec.json.decode(body)
            return answer.status, answer.headers, body

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


def add_token(path: Path, role: Role, *, name: str = "", expires: str | None = None) -> str:
    """Put a new token into a file; the token."""
    token = new_token()
    record = TokenRecord(name or role.value, role, digest_of(token), timestamp(), expires)
    change_tokens(str(path), lambda tokens: [*tokens, record])
    return token


@asynccontextmanager
async def serving(folder: Path, **limits: Any) -> AsyncIterator[Serving]:
    """A service in this loop; `limits` are fields of `Limits`."""
    tokens = folder / "tokens.json"
    read, operate = add_token(tokens, Role.READ), add_token(tokens, Role.OPERATE)
    supervisor = HandHeldSupervisor()
    service = HttpService(supervisor, KnownTokens(str(tokens), LOG), timestamp, Limits(**limits))  # type: ignore[arg-type]
    listener = Listener(service.server)
    await listener.start("127.0.0.1", 0)
    try:
        async with ClientSession() as session:
            yield Serving(listener.url, service, supervisor, tokens, read, operate, session)
    finally:
        service.stop()
        await listener.stop(5)


@contextmanager
def serving_in_a_thread(folder: Path) -> Iterator[Serving]:
    """A service in a loop of its own, for clients that block."""
    loop, done = asyncio.new_event_loop(), asyncio.Event()
    started = threading.Event()
    found: list[Serving] = []

    async def serve() -> None:
        async with serving(folder) as running:
            found.append(running)
            started.set()
            await done.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert started.wait(20)
        yield found[0]
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(20)
        loop.close()
