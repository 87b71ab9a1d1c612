"""The OpenAPI 3.1 document, made from the routes that requests are matched with: it cannot say anything else.

Guarantees: every operation, parameter and body stands in it as it is checked, and every status that can
occur; JSON bodies have the schemas of the very types that are encoded (JSON Schema 2020-12, which 3.1 takes).
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, Final

import msgspec

from transfer.service.http.problems import KINDS, MEDIA_TYPE, Problem
from transfer.service.http.routes import PARAMETERS, EmptyBody, Route

_REFS: Final = "#/components/schemas/{name}"
_ALWAYS: Final = (400, 422, 500, 503)
_WITH_TOKEN: Final = (401, 403)
_WITH_BODY: Final = (408, 413, 415, 417)
_PROBLEM: Final = {"$ref": _REFS.format(name="Problem")}


def openapi_document(routes: Iterable[Route]) -> dict[str, Any]:
    """The document of these routes; those that are not described are left out."""
    described = [route for route in routes if route.is_described]
    types = [Problem, EmptyBody, *(route.answer for route in described if route.answer is not None)]
    _, schemas = msgspec.json.schema_components(types, ref_template=_REFS)
    paths: dict[str, dict[str, Any]] = {}
    for route in described:
        methods = paths.setdefault(route.path, {})
        methods[route.method.lower()] = _operation(route, route.operation)
        if route.method == "GET":
            methods["head"] = _operation(route, f"{route.operation}Head")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "transfer, ingest service",
            "version": version("transfer-appliance"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def statuses(route: Route) -> list[int]:
    """The statuses of the problems that a route may answer with."""
    found = {*_ALWAYS, *route.also}
    if route.role is not None:
        found.update(_WITH_TOKEN)
    if route.takes_body:
        found.update(_WITH_BODY)
    if route.parameters:
        found.add(404)
    return sorted(found)


def _operation(route: Route, name: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": route.summary,
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": _responses(route, has_body=not name.endswith("Head")),
        "security": [] if route.role is None else [{"token": []}],
    }
    if route.role is not None:
        operation["description"] = f"Needs a token with the role {route.role}."
    if route.takes_body:
        content = {"application/json": {"schema": {"$ref": _REFS.format(name="EmptyBody")}}}
        operation["requestBody"] = {"required": False, "content": content}
    return operation


def _responses(route: Route, *, has_body: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status in statuses(route):
        content = {MEDIA_TYPE: {"schema": _PROBLEM}} if has_body else {}
        found[str(status)] = {"description": KINDS[status][1], "content": content}
    for status in (200, *route.also_answers):
        # A status may be both, an answer and a problem.
        both = found.get(str(status), {}).get("content", {})
        content = _content(route) if has_body else {}
        found[str(status)] = {"description": route.summary, "content": both | content}
    if "401" in found:
        found["401"]["headers"] = {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}}
    return dict(sorted(found.items()))


def _content(route: Route) -> dict[str, Any]:
    if route.answer is not None:
        return {"application/json": {"schema": {"$ref": _REFS.format(name=route.answer.__name__)}}}
    return {
        media_type.partition(";")[0]: {
            "schema": {} if media_type == "application/json" else {"type": "string"}
        }
        for media_type in route.media_types
    }


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": msgspec.json.schema(PARAMETERS[name])}
        for name in route.parameters
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    schema = msgspec.json.schema_components([route.query], ref_template=_REFS)[1][route.query.__name__]
    found = []
    for name, value in schema["properties"].items():
        # An empty text stands for "not given", which no schema has to say.
        shown = {key: told for key, told in value.items() if (key, told) != ("default", "")}
        found.append({"name": name, "in": "query", "required": False, "schema": shown})
    return found
