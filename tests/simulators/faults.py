"""Single requests that go wrong, planned beforehand; a plan that did not come true is the test's failure.

server.faults.append(Fault("PUT", "uploadId", Trouble.SLOW_DOWN))
...
assert server.faults == []   # each was struck out when it fired
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from aiohttp import web


class Trouble(Enum):
    """What happens to a request."""

    SLOW_DOWN = "503 SlowDown, with Retry-After"
    INTERNAL_ERROR = "500, and nothing was done"
    RESET_BEFORE = "the connection is cut, nothing was done"
    RESET_AFTER = "the connection is cut after it was done: a lost answer"
    HALF_ANSWER = "it was done; the answer stops in the middle"
    OK_WITH_ERROR = "status 200, but the document tells of an error"
    HUGE_XML = "an answer without end"
    ENTITY_BOMB = "XML with a document type declaration"
    GARBAGE = "200 and HTML, as a proxy's log-in page"
    STUCK_LISTING = "a page that says there are more, but not where"
    DEAF = "answered as if there were no Range and no If-Match"


@dataclass(frozen=True)
class Fault:
    """Strikes the first request with this method and this word in its path or query."""

    method: str
    word: str
    trouble: Trouble


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ERROR = "<Error><Code>{}</Code><Message>planned by the test</Message></Error>"
_DOCUMENTS = {
    Trouble.OK_WITH_ERROR: '<?xml version="1.0"?>\n' + _ERROR.format("InternalError"),
    Trouble.ENTITY_BOMB: '<!DOCTYPE a [<!ENTITY b "cc">]><R><UploadId>&b;</UploadId></R>',
    Trouble.STUCK_LISTING: "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
    Trouble.GARBAGE: "<html><p>please log in<p></html>",
}


def fault_middleware(faults: list[Fault]) -> Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]:
    """The middleware that carries a plan out, striking out what fired."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        for fault in faults:
            if fault.method == request.method and fault.word in request.raw_path:
                faults.remove(fault)
                await request.read()
                return await _strike(fault.trouble, request, handler)
        return await handler(request)

    return middleware


async def _strike(trouble: Trouble, request: web.Request, handler: Handler) -> web.StreamResponse:
    if trouble is Trouble.SLOW_DOWN:
        return web.Response(status=503, text=_ERROR.format("SlowDown"), headers={"Retry-After": "7"})
    if trouble is Trouble.INTERNAL_ERROR:
        return web.Response(status=500, text=_ERROR.format("InternalError"))
    if trouble in _DOCUMENTS:
        return web.Response(text=_DOCUMENTS[trouble], content_type="application/xml")
    if trouble is Trouble.HUGE_XML:
        return await _endless(request)
    if trouble is Trouble.RESET_BEFORE:
        return _cut(request)
    if trouble is Trouble.DEAF:
        kept = {name: value for name, value in request.headers.items() if name not in {"Range", "If-Match"}}
        return await handler(request.clone(headers=kept))
    answer = await handler(request)
    if trouble is Trouble.RESET_AFTER:
        return _cut(request)
    return await _half(request, answer)


def _cut(request: web.Request) -> web.Response:
    request.transport.abort()
    return web.Response()  # goes nowhere


async def _half(request: web.Request, answer: web.Response) -> web.StreamResponse:
    if not answer.body:
        return _cut(request)
    partial = web.StreamResponse(status=answer.status, headers=answer.headers)
    partial.content_length = len(answer.body)
    await partial.prepare(request)
    await partial.write(answer.body[: len(answer.body) // 2])
    request.transport.close()
    return partial


async def _endless(request: web.Request) -> web.StreamResponse:
    stream = web.StreamResponse()
    await stream.prepare(request)
    try:
        await stream.write(b"<ListBucketResult>")
        while True:
            await stream.write(b"<Contents/>" * 10_000)
    except ConnectionError:  # whoever asked had enough
        return stream
