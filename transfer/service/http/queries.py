"""What a query and a body may hold: read strictly, so that no typing error is skipped."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from msgspec import Meta, Struct

from transfer.service.http.limits import Limits
from transfer.service.http.problems import Refusal
from transfer.service.http.routes import EmptyBody

# At most 18 digits: the ledger counts in 64 bits.
_NUMBER: Final = re.compile("[0-9]{1,18}", re.ASCII)
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

Limit = Annotated[int, Meta(ge=1, le=1000, description="How many at most.")]
JobCursor = Annotated[
    str, Meta(pattern="^[0-9]{1,18}(?!\n)$", description="`next` of the page before; omit it for the first.")
]
EntryCursor = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,9}\.[0-9]{1,9}(?!\n)$",
        description="`next` of the page before; omit it for the first.",
    ),
]


class JobsQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of jobs; empty `before`: the first."""

    before: JobCursor = ""
    limit: Limit = 100


class EntriesQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of entries; empty `after`: the first."""

    after: EntryCursor = ""
    limit: Limit = 100


_body_decoder: Final = msgspec.json.Decoder(EmptyBody)


def read_query(request: web.BaseRequest, kind: type[Struct]) -> Any:
    """The query as a value of `kind`.

    Raises:
        Refusal: 422; naming the parameter and what is wrong.
    """
    query = request.rel_url.query
    told: dict[str, str | int] = {}
    for name, text in query.items():
        if name in told:
            raise Refusal(422, f"the query has {name[:40]!r} twice")
        told[name] = int(text) if name == "limit" and _NUMBER.fullmatch(text) else text
    try:
        return msgspec.convert(told, kind)
    except msgspec.ValidationError as error:
        raise Refusal(422, f"query: {error}"[:300]) from None


async def check_body(request: web.BaseRequest, limits: Limits) -> None:
    """Read a body that has to be empty, or {}.

    Raises:
        Refusal: 408, 413, 415, 417 or 422.
    """
    if (request.content_length or 0) > limits.body_bytes:
        raise _too_large(limits)
    await _continue(request)
    try:
        async with asyncio.timeout(limits.body_timeout_s):
            body = await _read(request, limits)
    except TimeoutError:
        detail = f"the body took longer than {limits.body_timeout_s:.0f} s"
        raise Refusal(408, detail, closes=True) from None
    except (web.RequestPayloadError, HttpProcessingError):
        raise Refusal(400, "the body is not what its headers say", closes=True) from None
    if body:
        _check_json(request, body)


def _check_json(request: web.BaseRequest, body: bytes) -> None:
    if request.content_type != "application/json" or "Content-Encoding" in request.headers:
        raise Refusal(415, "send application/json, without an encoding, or no body at all")
    try:
        _body_decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(422, f"body: {error}"[:300]) from None


async def _continue(request: web.BaseRequest) -> None:
    """Tell a client that waits for it to send its body (RFC 9110 §10.1.1)."""
    expected = request.headers.get("Expect", "")
    if not expected:
        return
    if expected.lower() != "100-continue":
        raise Refusal(417, "no other expectation than 100-continue is known here")
    transport = request.transport
    if transport is not None:
        transport.write(_CONTINUE)


async def _read(request: web.BaseRequest, limits: Limits) -> bytes:
    body = bytearray()
    while chunk := await request.content.readany():
        body += chunk
        if len(body) > limits.body_bytes:
            raise _too_large(limits)
    return bytes(body)


def _too_large(limits: Limits) -> Refusal:
    return Refusal(413, f"a body may have {limits.body_bytes} bytes", closes=True)
