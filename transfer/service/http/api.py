"""What can be asked of the service: one handler an operation, and the table of all of them.

Handlers find their caller let in, their path and query checked, their body read. What they raise becomes a
problem document (problems.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from aiohttp import web
from msgspec import Struct

from transfer.ledger.values import ObjectState
from transfer.service.http.answers import body_answer, json_answer
from transfer.service.http.downloads import MEDIA_TYPES, file_answer
from transfer.service.http.events import MEDIA_TYPE as EVENTS_TYPE
from transfer.service.http.events import EventStreams
from transfer.service.http.metrics import MEDIA_TYPE as METRICS_TYPE
from transfer.service.http.metrics import Metrics
from transfer.service.http.page_files import INDEX, PageFile, page_answer
from transfer.service.http.problems import Refusal
from transfer.service.http.queries import EntriesQuery, JobsQuery
from transfer.service.http.routes import Call, Route
from transfer.service.http.tokens import Role
from transfer.service.ingest.supervisor import Supervisor
from transfer.service.views import Action, DeviceList, EntryPage, JobPage, JobView

_ENTRIES = {
    "failures": (ObjectState.FAILED, "Entries that are not in the bucket, and why"),
    "successes": (ObjectState.DONE, "Entries that are in the bucket"),
    "skipped": (ObjectState.SKIPPED, "Entries that were left out knowingly"),
}
_ACTIONS = {
    Action.PAUSE: "Let a job rest; it keeps what it has",
    Action.RESUME: "Let a job that rests go on",
    Action.RETRY: "Try again what failed",
    Action.CANCEL: "Give a job up; what is in the bucket stays there",
}


class Health(Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(Struct, frozen=True):
    """Whether the service does its work, and what keeps it from that."""

    ready: bool
    problems: list[str]


class WhoAmI(Struct, frozen=True):
    """The token that came with the request."""

    name: str
    role: Role


@dataclass(frozen=True)
class Api:
    """The handlers.

    Attributes:
        problems: why the service is not ready.
        page: its files by name.
        document: the OpenAPI document's bytes.
    """

    supervisor: Supervisor
    streams: EventStreams
    metrics: Metrics
    problems: Callable[[], list[str]]
    page: Mapping[str, PageFile]
    document: Callable[[], bytes]

    async def health(self, call: Call) -> web.StreamResponse:
        """The process answers."""
        return json_answer(Health())

    async def readiness(self, call: Call) -> web.StreamResponse:
        """200 or 503."""
        problems = self.problems()
        return json_answer(Readiness(not problems, problems), status=503 if problems else 200)

    async def openapi(self, call: Call) -> web.StreamResponse:
        """This very table."""
        return body_answer(self.document(), "application/json")

    async def measures(self, call: Call) -> web.StreamResponse:
        """For Prometheus."""
        devices = await self.supervisor.devices()
        text = self.metrics.text(self.supervisor.totals(), devices, self.streams.open)
        return body_answer(text, METRICS_TYPE)

    async def index(self, call: Call) -> web.StreamResponse:
        """The page."""
        return page_answer(call.request, self.page[INDEX])

    async def page_file(self, call: Call) -> web.StreamResponse:
        """A file of the page."""
        file = self.page.get(call.values["file"])
        if file is None:
            raise Refusal(404, "the page has no such file")
        return page_answer(call.request, file)

    async def who_am_i(self, call: Call) -> web.StreamResponse:
        """The caller."""
        assert call.caller is not None  # noqa: S101 - the route has a role
        return json_answer(WhoAmI(call.caller.name, call.caller.role))

    async def devices(self, call: Call) -> web.StreamResponse:
        """All devices."""
        return json_answer(DeviceList(await self.supervisor.devices()))

    async def jobs(self, call: Call) -> web.StreamResponse:
        """A page of jobs."""
        query: JobsQuery = call.query
        return json_answer(await self.supervisor.jobs(before=query.before or None, limit=query.limit))

    async def job(self, call: Call) -> web.StreamResponse:
        """One job."""
        return json_answer(await self.supervisor.job(call.values["job_id"]))

    async def entries(self, state: ObjectState, call: Call) -> web.StreamResponse:
        """A page of entries."""
        query: EntriesQuery = call.query
        page = await self.supervisor.entries(
            call.values["job_id"], state, after=query.after or None, limit=query.limit
        )
        return json_answer(page)

    async def act(self, action: Action, call: Call) -> web.StreamResponse:
        """Do something with a job."""
        return json_answer(await self.supervisor.act(call.values["job_id"], action))

    async def report(self, call: Call) -> web.StreamResponse:
        """A file of a report; report.json where none is named."""
        job_id, name = call.values["job_id"], call.values.get("name", "report.json")
        path = self.supervisor.report_file(job_id, name)
        if path is None:
            raise Refusal(404, "the job has no such report yet")
        return await file_answer(call.request, path, name)

    async def events(self, call: Call) -> web.StreamResponse:
        """The stream of events."""
        return await self.streams.answer(call.request)


def table(api: Api) -> tuple[Route, ...]:
    """Every operation of the service."""
    return (*_open_routes(api), *_read_routes(api), *_entry_routes(api), *_action_routes(api))


def _open_routes(api: Api) -> list[Route]:
    page: dict[str, Any] = {"media_types": ("text/html",), "is_described": False}
    return [
        Route("GET", "/", "page", "The web page", api.index, **page),
        Route("GET", "/page/{file}", "pageFile", "A file of the web page", api.page_file, **page),
        Route("GET", "/healthz", "health", "The process answers", api.health, answer=Health),
        Route(
            "GET",
            "/readyz",
            "readiness",
            "Whether the service does its work",
            api.readiness,
            answer=Readiness,
            also_answers=(503,),
        ),
        Route("GET", "/v1/openapi.json", "openapi", "This document", api.openapi),
    ]


def _read_routes(api: Api) -> list[Route]:
    read = Role.READ
    job, report = "/v1/jobs/{job_id}", "/v1/jobs/{job_id}/report"
    types = tuple(MEDIA_TYPES.values())
    return [
        Route(
            "GET",
            "/metrics",
            "metrics",
            "Metrics for Prometheus",
            api.measures,
            read,
            media_types=(METRICS_TYPE,),
        ),
        Route("GET", "/v1/whoami", "whoAmI", "Whose token this is", api.who_am_i, read, WhoAmI),
        Route("GET", "/v1/devices", "devices", "The devices of the dock", api.devices, read, DeviceList),
        Route("GET", "/v1/jobs", "jobs", "Jobs, newest first", api.jobs, read, JobPage, query=JobsQuery),
        Route("GET", job, "job", "One job", api.job, read, JobView),
        Route("GET", report, "report", "The report of a job as JSON", api.report, read),
        Route(
            "GET",
            report + "/{name}",
            "reportFile",
            "A file of the report",
            api.report,
            read,
            media_types=types,
        ),
        Route(
            "GET",
            "/v1/events",
            "events",
            "All devices and jobs, then each change, as server-sent events",
            api.events,
            read,
            media_types=(EVENTS_TYPE,),
        ),
    ]


def _entry_routes(api: Api) -> list[Route]:
    return [
        Route(
            "GET",
            f"/v1/jobs/{{job_id}}/{name}",
            name,
            summary,
            partial(api.entries, state),
            Role.READ,
            EntryPage,
            query=EntriesQuery,
        )
        for name, (state, summary) in _ENTRIES.items()
    ]


def _action_routes(api: Api) -> list[Route]:
    return [
        Route(
            "POST",
            f"/v1/jobs/{{job_id}}/{action}",
            action.value,
            summary,
            partial(api.act, action),
            Role.OPERATE,
            JobView,
            takes_body=True,
            also=(409, 502),
        )
        for action, summary in _ACTIONS.items()
    ]
