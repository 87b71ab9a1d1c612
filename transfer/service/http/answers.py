"""Answers, with the headers that all of them have.

Guarantees: nothing is cached unless it says so, no browser guesses a type, no other site may frame, embed or
script what we send, and no header tells which programs stand behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from aiohttp import web

from transfer.service.http.problems import MEDIA_TYPE, Refusal, make_problem

JSON: Final = "application/json"

# Of instance: a path may have as many characters as the request line.
_MAX_INSTANCE_CHARS: Final = 256

_encoder: Final = msgspec.json.Encoder()


def common_headers() -> dict[str, str]:
    """The headers of every answer; a name given again wins."""
    return {
        "Server": "transfer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def body_answer(
    body: bytes, content_type: str, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An answer whose body is at hand; `content_type` as it is sent, with its charset."""
    told = common_headers() | {"Content-Type": content_type} | dict(headers or {})
    return web.Response(status=status, body=body, headers=told)


def json_answer(value: object, *, status: int = 200) -> web.Response:
    """A value as JSON."""
    return body_answer(_encoder.encode(value), JSON, status=status)


def problem_answer(refusal: Refusal, path: str) -> web.Response:
    """A refusal as a problem document; `path` is what was asked for."""
    # What was asked for may hold what is no Unicode, and stands in both.
    detail, instance = (
        text.encode(errors="backslashreplace").decode()
        for text in (refusal.detail, path[:_MAX_INSTANCE_CHARS])
    )
    document = make_problem(refusal.status, detail, instance)
    answer = body_answer(
        _encoder.encode(document), MEDIA_TYPE, status=refusal.status, headers=refusal.headers
    )
    if refusal.closes:
        answer.force_close()
    return answer
