"""Routes: one value each, from which requests are matched and the OpenAPI document is made.

A path is matched segment by segment on its raw form, and percent-decoded after that, so that an encoded
slash stays inside of its segment. A segment in braces is a parameter of `PARAMETERS`; a value that it cannot
have makes the path unknown (404).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal
from urllib.parse import unquote

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from transfer.service.http.access import Caller
from transfer.service.http.tokens import Role

JOB_ID: Final = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(?!\n)$"
JobId = Annotated[str, Meta(pattern=JOB_ID, description="Of a job; a UUID.")]
ReportName = Literal["report.json", "report.html", "success.csv", "failure.csv", "skipped.csv", "repair.txt"]
FileName = Annotated[str, Meta(pattern="^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}(?!\n)$")]

PARAMETERS: Final[Mapping[str, Any]] = MappingProxyType(
    {"job_id": JobId, "name": ReportName, "file": FileName}
)
"""The types of what may stand in braces."""


class NoQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """A query without parameters."""


class EmptyBody(Struct, frozen=True, forbid_unknown_fields=True):
    """A body that says nothing: none at all, or {}."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in.

    Attributes:
        values: of the parameters in its path.
        query: of the type that the route names.
        caller: null where the route is open.
    """

    request: web.BaseRequest
    values: Mapping[str, str]
    query: Any
    caller: Caller | None


Handler = Callable[[Call], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation.

    Attributes:
        role: that is needed; None: open to all.
        answer: the type of the JSON document; None where it is something else.
        media_types: of the answer.
        query: type of the query's parameters, each a text or a number.
        takes_body: it has a body, an `EmptyBody`.
        also: statuses of problems that only this route has.
        also_answers: statuses other than 200 that come with `answer`.
        is_described: it stands in the OpenAPI document.
    """

    method: Literal["GET", "POST"]
    path: str
    operation: str
    summary: str
    handler: Handler
    role: Role | None = None
    answer: type[Struct] | None = None
    media_types: tuple[str, ...] = ("application/json",)
    query: type[Struct] = NoQuery
    takes_body: bool = False
    also: tuple[int, ...] = ()
    also_answers: tuple[int, ...] = ()
    is_described: bool = True

    @property
    def parameters(self) -> list[str]:
        """The names of the parameters in its path."""
        return [segment[1:-1] for segment in self.path.split("/") if segment.startswith("{")]


@dataclass(frozen=True, slots=True)
class Place:
    """What a path leads to.

    Attributes:
        path: as the routes have it, with its braces.
        methods: the route of each method.
        values: of the parameters.
    """

    path: str
    methods: Mapping[str, Route]
    values: Mapping[str, str] = field(default_factory=dict)


class Routes:
    """A table of routes."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._paths: dict[str, dict[str, Route]] = {}
        for route in routes:
            methods = self._paths.setdefault(route.path, {})
            methods[route.method] = route
            if route.method == "GET":
                methods["HEAD"] = route

    def find(self, raw_path: str) -> Place | None:
        """Where a path leads; None where it leads nowhere.

        Args:
            raw_path: percent-encoded, without query.
        """
        segments = raw_path.split("/")
        for path, methods in self._paths.items():
            values = _match(path.split("/"), segments)
            if values is not None:
                return Place(path, methods, values)
        return None


def _match(pattern: list[str], segments: list[str]) -> dict[str, str] | None:
    if len(pattern) != len(segments):
        return None
    values: dict[str, str] = {}
    for wanted, segment in zip(pattern, segments, strict=True):
        if not wanted.startswith("{"):
            if wanted != segment:
                return None
            continue
        value = _value(wanted[1:-1], segment)
        if value is None:
            return None
        values[wanted[1:-1]] = value
    return values


def _value(name: str, segment: str) -> str | None:
    try:
        # What is no UTF-8 becomes a character that no parameter takes.
        return str(msgspec.convert(unquote(segment), PARAMETERS[name]))
    except msgspec.ValidationError:
        return None
