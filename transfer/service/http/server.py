"""HTTP connections: aiohttp's, within bounds of number and time.

Guarantees:
    - A client that does not send a whole request head in time, or nothing at all, is cut off.
    - A client that does not read what it asked for is cut off.
    - Of too many connections those that came last are told so (503); of more than twice as many they are
      closed at once. File descriptors that imports need are never used up here.
    - What is no HTTP is answered with a problem document and closed.

Does not: know routes. The time for a body is the reader's (queries.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from logging import Logger
from typing import Any, Final, cast

from aiohttp import web

from transfer.service.http.answers import problem_answer
from transfer.service.http.limits import Limits
from transfer.service.http.problems import Refusal

# Of a request body that nobody has asked for: read for so long, so that the answer arrives, then cut off.
_LINGERING_S: Final = 2.0

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Connection(web.RequestHandler):
    """One connection.

    Attributes:
        is_surplus: there are too many.
        ended: set when it is closed, from whichever side.
    """

    def __init__(self, server: HttpServer, options: dict[str, Any]) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._server = server
        self._stalled: asyncio.TimerHandle | None = None
        self._unasked: asyncio.TimerHandle | None = None
        self.is_surplus = False
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the connection is open."""
        super().connection_made(transport)
        number = len(self._server.open)
        self._server.open.add(self)
        self.is_surplus = number >= self._server.limits.connections
        abort = cast(asyncio.Transport, transport).abort
        # aiohttp's own timer for idle connections begins with the first request, in its older releases.
        delay_s = self._server.limits.head_timeout_s
        self._unasked = asyncio.get_running_loop().call_later(delay_s, abort)
        if number >= 2 * self._server.limits.connections:
            abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """asyncio: the connection is closed."""
        self._server.open.discard(self)
        self.ended.set()
        self._is_read()
        self.is_asked()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """asyncio: the client does not read as fast as we write."""
        super().pause_writing()
        if self.transport is not None:
            delay_s = self._server.limits.stall_timeout_s
            self._stalled = asyncio.get_running_loop().call_later(delay_s, self.transport.abort)

    def resume_writing(self) -> None:
        """asyncio: the client reads again."""
        self._is_read()
        super().resume_writing()

    def is_asked(self) -> None:
        """The head of a request has come."""
        if self._unasked is not None:
            self._unasked.cancel()
            self._unasked = None

    def _is_read(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """aiohttp: a request could not be parsed, or an error escaped from us; `message` is not told."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        if status == 400:
            self._server.log.info("a request is no HTTP", extra={"remote": request.remote, "status": 400})
            return problem_answer(Refusal(400, "see RFC 9112", closes=True), "")
        self._server.log.error("an error escaped", exc_info=exc)
        return problem_answer(Refusal(500, "the log of the service says more", closes=True), "")


class HttpServer(web.Server):
    """Makes connections; the protocol factory for asyncio.

    Args:
        answer: called for every request; everything that it raises is a fault of ours.
        log: of what never became a request.

    Attributes:
        open: the connections there are.
    """

    def __init__(self, answer: Answer, limits: Limits, log: Logger) -> None:
        super().__init__(self._answer)
        self._answer_request = answer
        self.log = log
        self.limits = limits
        self.open: set[Connection] = set()
        self._options: dict[str, Any] = {
            # aiohttp closes a connection that has been waiting for a whole head for so long since the last.
            "keepalive_timeout": limits.head_timeout_s,
            "lingering_time": _LINGERING_S,
            # Compressed bodies are refused, not unpacked.
            "auto_decompress": False,
            # We have our own.
            "access_log": None,
        }

    def __call__(self) -> Connection:
        """A connection; asyncio calls this."""
        return Connection(self, self._options)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        connection_of(request).is_asked()
        return await self._answer_request(request)


def connection_of(request: web.BaseRequest) -> Connection:
    """The connection that a request came over."""
    return cast(Connection, request.protocol)
