"""The HTTP side of the service: from a request to its answer.

In this order: is there room; who asks; is there such a place and method; may they; are query and body as they
have to be; then the handler. So whoever has no token learns nothing about what there is. Whatever goes wrong,
the answer is a problem document, and the words of an error that is not the asker's go to the log alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import cached_property

import msgspec
from aiohttp import web

from transfer.errors import TransferError
from transfer.service.http.access import Caller, Gate, KnownTokens, check_role
from transfer.service.http.answers import problem_answer
from transfer.service.http.api import Api, table
from transfer.service.http.events import EventStreams
from transfer.service.http.limits import Limits
from transfer.service.http.metrics import Metrics
from transfer.service.http.openapi import openapi_document
from transfer.service.http.page_files import read_page
from transfer.service.http.problems import Refusal, refusal_of
from transfer.service.http.queries import check_body, read_query
from transfer.service.http.routes import Call, NoQuery, Place, Route, Routes
from transfer.service.http.server import HttpServer, connection_of
from transfer.service.ingest.supervisor import Supervisor

_MAX_PATH_CHARS = 256

_log = logging.getLogger("transfer.service.http")


class HttpService:
    """Answers requests about one supervisor.

    Args:
        supervisor: that is asked.
        tokens: that let people in.
        now: the time, RFC 3339 in UTC.
        limits: of what clients may do.

    Attributes:
        server: makes connections; the protocol factory for asyncio.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        tokens: KnownTokens,
        now: Callable[[], str],
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        self._supervisor = supervisor
        self._tokens = tokens
        self._gate = Gate(tokens, now, _log)
        self._metrics = Metrics()
        self._stops = False
        self.streams = EventStreams(supervisor, limits)
        self.server = HttpServer(self.answer, limits, _log)
        self._api = Api(
            supervisor=supervisor,
            streams=self.streams,
            metrics=self._metrics,
            problems=self._problems,
            page=read_page(),
            document=lambda: self._document,
        )
        self._table = table(self._api)
        self._routes = Routes(self._table)

    def stop(self) -> None:
        """The service stops: it is not ready any more, streams end, nothing can be started."""
        self._stops = True
        self.streams.stop()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to a request."""
        started_s = time.monotonic()
        place = self._routes.find(request.rel_url.raw_path)
        told: dict[str, object] = {}
        status = 0
        try:
            response = await self._answer(request, place, told)
            status = response.status
            return response
        finally:
            route = place.path if place is not None else None
            if status:  # else the client was gone before there was an answer
                self._metrics.count_request(request.method, route, status)
                told["status"] = status
            told["elapsed_s"] = round(time.monotonic() - started_s, 3)
            _log.info("request", extra=told | _described(request))

    async def _answer(
        self, request: web.BaseRequest, place: Place | None, told: dict[str, object]
    ) -> web.StreamResponse:
        try:
            return await self._handle(request, place, told)
        except ConnectionError:  # the client is gone
            raise
        except Exception as error:
            if request.writer.output_size > 0:  # too late for another answer
                raise ConnectionError("an answer broke off") from error
            refusal = refusal_of(error)
            if refusal.status >= 500 and error is not refusal:
                _log.error(
                    "a request failed: %s", error, extra=_described(request), exc_info=_unforeseen(error)
                )
            return problem_answer(refusal, request.path)

    async def _handle(
        self, request: web.BaseRequest, place: Place | None, told: dict[str, object]
    ) -> web.StreamResponse:
        if connection_of(request).is_surplus:
            raise Refusal(503, "too many connections", headers={"Retry-After": "10"}, closes=True)
        caller = self._caller(request, place)
        if caller is not None:
            told["token"] = caller.name
        route = _route(request, place)
        if route.role is not None and caller is not None:
            check_role(caller, route.role)
        query = NoQuery() if not _is_of_api(route.path) else read_query(request, route.query)
        if route.takes_body:
            await check_body(request, self.server.limits)
            if self._stops:
                raise Refusal(503, "the service stops", headers={"Retry-After": "10"})
        return await route.handler(Call(request, place.values if place else {}, query, caller))

    def _caller(self, request: web.BaseRequest, place: Place | None) -> Caller | None:
        """Who asks; None where all may."""
        if place is None:
            return self._gate.caller(request) if _is_of_api(request.rel_url.raw_path) else None
        is_open = all(route.role is None for route in place.methods.values())
        return None if is_open else self._gate.caller(request)

    def _problems(self) -> list[str]:
        self._tokens.current()
        found = [self._tokens.problem] if self._tokens.problem else []
        stops = ["the service stops"] if self._stops else []
        return [*stops, *found, *self._supervisor.problems()]

    @cached_property
    def _document(self) -> bytes:
        return msgspec.json.encode(openapi_document(self._table))


def _route(request: web.BaseRequest, place: Place | None) -> Route:
    if place is None:
        raise Refusal(404, "there is nothing at this path")
    route = place.methods.get(request.method)
    if route is None:
        allowed = ", ".join(sorted(place.methods))
        raise Refusal(405, f"possible here: {allowed}", headers={"Allow": allowed})
    return route


def _is_of_api(path: str) -> bool:
    """Whether a path is in the part that tokens guard, be there something or not."""
    return path in {"/v1", "/metrics"} or path.startswith("/v1/")


def _described(request: web.BaseRequest) -> dict[str, object]:
    """For the log: never the query, which could hold what somebody took for a place of a token."""
    path = request.rel_url.raw_path[:_MAX_PATH_CHARS]
    return {"method": request.method, "path": path, "remote": request.remote}


def _unforeseen(error: Exception) -> Exception | None:
    """What the log shows a traceback of: our own faults. Errors of the product say all in their words."""
    return None if isinstance(error, TransferError) else error
