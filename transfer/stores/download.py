"""HTTP for a great many downloads: requests with no body, or a short one, on connections of our own.

A drop-in for `HttpTransport` where objects are only read: the same guarantees, a quarter of the processor
time for each small object. It speaks HTTP/1.1 to one endpoint, and no more of it than a store's answers
need: bodies with a Content-Length, in chunks, or up to the end of the connection. Every length that an
answer states is checked, what is buffered is bounded, and a peer that gives nothing for `stall_timeout_s`
is given up. Long ranges are received by threads, on connections of their own.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import urlsplit

from transfer.errors import StoreUnreachableError
from transfer.stores.checksums import size_of
from transfer.stores.contract import Buffers
from transfer.stores.download_answer import ProtocolError
from transfer.stores.download_connection import Connection
from transfer.stores.download_long import LongConnection, dial
from transfer.stores.http_options import HttpOptions
from transfer.stores.pacing import SLICE_BYTES, UNLIMITED, Pace

_SCRATCH_BYTES: Final = 256 * 1024
_MAX_BODY_BYTES: Final = 64 * 1024
_LOOK_EVERY_S: Final = 5.0
_LONG_BYTES: Final = 1 << 20
_MOST_THREADS: Final = 32
_RANGE: Final = re.compile(r"bytes=(\d{1,18})-(\d{1,18})")
_REMEDY: Final = "run the command again, it goes on where it stopped"

AnyConnection = Connection | LongConnection


class DownloadTransport:
    """Sends requests to one endpoint; has of `HttpTransport`, and of its answers, what stores use."""

    def __init__(self, options: HttpOptions, *, received: Pace = UNLIMITED) -> None:
        """Take options and pace; connections are opened when they are needed.

        Args:
            options: limits and timeouts.
            received: how fast bodies come in.
        """
        self._options = options
        self._received = received
        self._room = asyncio.Semaphore(options.max_connections)
        self._idle: list[AnyConnection] = []
        self._idle_long: list[AnyConnection] = []
        self._all: set[AnyConnection] = set()
        threads = min(options.max_connections, _MOST_THREADS)
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="receive")
        self._context: ssl.SSLContext | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._scratch = memoryview(bytearray(_SCRATCH_BYTES))

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: Buffers = ()
    ) -> Response:
        """See `HttpTransport.request`; of a body there can only be little."""
        if (size := size_of(body)) > _MAX_BODY_BYTES:
            raise ValueError("this transport is for downloads")
        parts = urlsplit(url)
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        if size or method not in {"GET", "HEAD"}:
            lines.append(f"content-length: {size}")
        written = "".join(lines)
        if "\r" in written or "\n" in written:
            raise ValueError("a line end in a header")
        head = "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")
        is_long = method == "GET" and _is_long(headers.get("range", ""))
        await self._room.acquire()
        try:
            answer = await self._answer(method, url, b"".join([head, *body]), is_long=is_long)
        except BaseException:
            self._room.release()
            raise
        return (LongResponse if is_long else Response)(self, answer, method, url)

    async def _answer(self, method: str, url: str, request: bytes, *, is_long: bool) -> AnyConnection:
        """A connection that has the head of the answer; that a kept one was closed is no failure."""
        idle = self._idle_long if is_long else self._idle
        while True:
            kept = bool(idle)
            connection = idle.pop() if kept else await self._connect(url, is_long=is_long)
            try:
                await connection.ask(request, has_body=method != "HEAD")
            except (ConnectionError, TimeoutError, OSError, ProtocolError) as error:
                connection.drop()
                if kept and connection.got_nothing:
                    continue
                raise _cut_off(error, method, url) from error
            except BaseException:
                connection.drop()
                raise
            return connection

    async def _connect(self, url: str, *, is_long: bool) -> AnyConnection:
        parts = urlsplit(url)
        place = url.partition("?")[0]
        context = self._tls() if parts.scheme == "https" else None
        port = parts.port or (443 if context else 80)
        dialed = self._dial_long if is_long else self._dial
        try:
            async with asyncio.timeout(self._options.connect_timeout_s):
                connection = await dialed(parts.hostname or "", port, context)
        except ssl.SSLError as error:
            raise StoreUnreachableError(
                f"no trusted connection to {place}: {error}",
                remedy="check the endpoint's certificate, or set SSL_CERT_FILE to its authority's",
                code="TlsError",
            ) from error
        except (TimeoutError, OSError) as error:
            told = os.strerror(error.errno) if error.errno else str(error)
            reason = "timed out" if isinstance(error, TimeoutError) else told
            raise StoreUnreachableError(
                f"no connection to {place}: {reason}", remedy="check --endpoint-url and the network"
            ) from error
        self._all.add(connection)
        if self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look)
        return connection

    async def _dial(self, host: str, port: int, context: ssl.SSLContext | None) -> AnyConnection:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(self), host, port, ssl=context, happy_eyeballs_delay=0.25
        )
        return connection

    async def _dial_long(self, host: str, port: int, context: ssl.SSLContext | None) -> AnyConnection:
        made = await dial(host, port, context)
        connection = LongConnection(made, self._threads, self._options.stall_timeout_s, self.forget)
        try:
            await connection.shake_hands()
        except BaseException:
            connection.drop()
            raise
        return connection

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context()
        return self._context

    def _look(self) -> None:
        """Give up connections that stall."""
        now = asyncio.get_running_loop().time()
        for connection in list(self._all):
            if (
                connection.waits_since is not None
                and now - connection.waits_since > self._options.stall_timeout_s
            ):
                connection.fail(TimeoutError())
        self._watch = asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look)

    async def read(self, response: Response, limit_bytes: int) -> bytes | None:
        """See `HttpTransport.read`."""
        pieces: list[bytes] = []
        size = 0
        async for piece in response.pieces():
            size += len(piece)
            if size > limit_bytes:
                return None
            pieces.append(piece)
        return b"".join(pieces)

    async def stream(self, response: Response) -> AsyncIterator[bytes]:
        """See `HttpTransport.stream`."""
        async for piece in response.pieces():
            await self._received.take(len(piece))
            yield piece

    async def receive_into(self, response: LongResponse, place: memoryview) -> int:
        """Put the next bytes of a body there; how many there were, none at its end."""
        if self._received.is_open:
            return await response.fill(place)
        count = await response.fill(place[:SLICE_BYTES])
        await self._received.take(count)
        return count

    def release(self, connection: AnyConnection) -> None:
        """An answer is done with; its connection is kept where nothing of it is left."""
        self._room.release()
        if connection.is_reusable:
            (self._idle if isinstance(connection, Connection) else self._idle_long).append(connection)
        else:
            connection.drop()

    def forget(self, connection: AnyConnection) -> None:
        """A connection was lost."""
        self._all.discard(connection)
        for idle in (self._idle, self._idle_long):
            if connection in idle:
                idle.remove(connection)

    @property
    def scratch(self) -> memoryview:
        """Where bytes arrive first: one for all, as each is taken over at once."""
        return self._scratch

    async def aclose(self) -> None:
        """Cut all connections."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        for connection in list(self._all):
            connection.drop()
        self._threads.shutdown(wait=False)
        await asyncio.sleep(0)


class Response:
    """An answer, as far as `ClientResponse` is used by stores."""

    def __init__(self, owner: DownloadTransport, connection: AnyConnection, method: str, url: str) -> None:
        self._owner = owner
        self._connection: AnyConnection | None = connection
        self._method = method
        self._url = url
        self.status = connection.answer.status
        self.headers: Mapping[str, str] = connection.answer.headers

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body.

        Raises:
            StoreUnreachableError: it broke off.
        """
        while self._connection is not None:
            try:
                piece = await self._connection.take()
            except (OSError, ProtocolError) as error:
                raise _cut_off(error, self._method, self._url) from error
            if not piece:
                return
            yield piece

    async def __aenter__(self) -> Response:
        return self

    async def __aexit__(self, *error: Any) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._owner.release(connection)


class LongResponse(Response):
    """The answer to a request for a long range, whose body is received into memory at once."""

    async def receive_into(self, place: memoryview) -> int:
        """See `stores.read_into`; as fast as the pace allows.

        Raises:
            StoreUnreachableError: it broke off.
        """
        return await self._owner.receive_into(self, place)

    async def fill(self, place: memoryview) -> int:
        """As `receive_into`, without waiting for anything but the peer."""
        connection = self._connection
        if not isinstance(connection, LongConnection):
            raise AssertionError("no answer to a long range")  # noqa: TRY004
        try:
            return await connection.receive_into(place)
        except (OSError, ProtocolError) as error:
            raise _cut_off(error, self._method, self._url) from error


def _is_long(wanted: str) -> bool:
    """Whether a `Range` asks for so many bytes that a thread is worth its while."""
    told = _RANGE.fullmatch(wanted)
    return told is not None and int(told[2]) - int(told[1]) + 1 >= _LONG_BYTES


def _cut_off(error: Exception, method: str, url: str) -> StoreUnreachableError:
    reason = "timed out" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
    return StoreUnreachableError(f"{method} {url.partition('?')[0]} was cut off: {reason}", remedy=_REMEDY)
