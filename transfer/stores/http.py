"""HTTP for object stores: one pool of connections, bodies sent from their buffers, every failure one error.

Guarantees: bodies go out slice by slice without being joined, with a Content-Length; a peer that neither
takes nor gives a byte for `stall_timeout_s` is given up; answers are read as they are (no decompression,
redirects, cookies). Which answer is an error, and which is worth another try, is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from typing import Any
from weakref import WeakSet

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict
from yarl import URL

from transfer.errors import StoreUnreachableError
from transfer.stores.checksums import size_of
from transfer.stores.contract import Buffers
from transfer.stores.http_options import HttpOptions
from transfer.stores.pacing import SLICE_BYTES, UNLIMITED, Pace

__all__ = ["HttpOptions", "HttpTransport"]

_MAX_HEADER_BYTES = 16 * 1024
_SMALL_BYTES = 256 * 1024  # fits into the socket's buffer: a timer would cost more than the write
_CLOSING_STEPS, _CLOSING_STEP_S = 50, 0.01
_NETWORK_ERRORS = (aiohttp.ClientError, TimeoutError, OSError)


class HttpTransport:
    """Sends requests to one endpoint."""

    def __init__(self, options: HttpOptions, *, sent: Pace = UNLIMITED, received: Pace = UNLIMITED) -> None:
        """Open the pool; a running event loop is needed.

        Args:
            options: limits and timeouts.
            sent: how fast bodies go out.
            received: how fast bodies come in.
        """
        self._options = options
        self._sent = sent
        self._received = received
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=options.max_connections, ttl_dns_cache=60, socket_factory=self._new_socket
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            request_class=_BareRequest,
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=options.connect_timeout_s, sock_read=options.stall_timeout_s
            ),
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
        )

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: Buffers = ()
    ) -> aiohttp.ClientResponse:
        """Send a request; the answer, to be used in `async with`, which lets go of the connection.

        Args:
            method: in upper case.
            url: percent-encoded; goes out as it stands.
            headers: go out as they stand, and none but they and Content-Length; `host` must be one of them.
            body: sent as it stands.

        Raises:
            StoreUnreachableError: there was no answer.
        """
        size = size_of(body)
        payload = _BuffersPayload(body, size, self._sent, self._options.stall_timeout_s) if size else None
        try:
            return await self._session.request(
                method, URL(url, encoded=True), headers=headers, data=payload, allow_redirects=False
            )
        except _NETWORK_ERRORS as error:
            raise _unreachable(error, method, url) from error

    async def read(self, response: aiohttp.ClientResponse, limit_bytes: int) -> bytes | None:
        """The whole body of an answer, or None where it is larger than the limit.

        Raises:
            StoreUnreachableError: it broke off.
        """
        pieces: list[bytes] = []
        size = 0
        async for piece in _pieces(response):
            size += len(piece)
            if size > limit_bytes:
                return None
            pieces.append(piece)
        return b"".join(pieces)

    async def stream(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """The body of an answer in pieces, no faster than the pace allows.

        Raises:
            StoreUnreachableError: it broke off.
        """
        async for piece in _pieces(response):
            await self._received.take(len(piece))
            yield piece

    async def aclose(self) -> None:
        """Close all connections, also those whose other end takes nothing any more.

        A transport that is told to close keeps its socket until all is sent that was written to it, which may
        be never. So whatever is still open is cut off.
        """
        await self._session.close()
        for cut in list(self._sockets):
            with suppress(OSError):  # it is closed
                cut.shutdown(socket.SHUT_RDWR)
        for _ in range(_CLOSING_STEPS):
            if all(cut.fileno() < 0 for cut in self._sockets):
                break
            await asyncio.sleep(_CLOSING_STEP_S)

    def _new_socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        family, type_, protocol, _, _ = address
        made = socket.socket(family, type_, protocol)
        self._sockets.add(made)
        return made


class _BareRequest(aiohttp.ClientRequest):
    """A request without any header of aiohttp's own choice.

    What `skip_auto_headers` asks for too, which sorts and copies all headers of each request for it.
    """

    _skip_auto_headers = CIMultiDict({"Content-Type": None})

    def update_headers(self, headers: Any) -> None:
        self.headers = CIMultiDict(headers)

    def update_auto_headers(self, skip_auto_headers: Iterable[str] | None) -> None:
        pass


class _BuffersPayload(aiohttp.Payload):
    """A body that writes its buffers in slices: no joining, and little copying in the transport."""

    def __init__(self, body: Buffers, size_bytes: int, pace: Pace, stall_timeout_s: float) -> None:
        super().__init__(body)
        self._size_bytes = size_bytes
        self._size = size_bytes  # what aiohttp sends as Content-Length
        self._pace = pace
        self._stall_timeout_s = stall_timeout_s

    async def write(self, writer: AbstractStreamWriter) -> None:
        if self._size_bytes <= _SMALL_BYTES:
            await self._pace.take(self._size_bytes)
            for buffer in self._value:
                await writer.write(buffer)
            return
        for buffer in self._value:
            view = memoryview(buffer).cast("B")
            for offset in range(0, view.nbytes, SLICE_BYTES):
                await self._write_slice(writer, view[offset : offset + SLICE_BYTES])

    async def _write_slice(self, writer: AbstractStreamWriter, piece: memoryview) -> None:
        await self._pace.take(piece.nbytes)
        async with asyncio.timeout(self._stall_timeout_s):
            await writer.write(piece)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a body of an object is bytes")


async def _pieces(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    while True:
        try:
            piece = await response.content.readany()
        except _NETWORK_ERRORS as error:
            raise _unreachable(error, response.method, str(response.url)) from error
        if not piece:
            return
        yield piece


def _unreachable(error: Exception, method: str, url: str) -> StoreUnreachableError:
    place = url.partition("?")[0]
    if isinstance(error, aiohttp.ClientSSLError):
        return StoreUnreachableError(
            f"no trusted connection to {place}: {error}",
            remedy="check the endpoint's certificate, or set SSL_CERT_FILE to the authority that issued it",
            code="TlsError",
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error.strerror or str(error.os_error)
        return StoreUnreachableError(
            f"no connection to {place}: {reason}", remedy="check --endpoint-url and the network"
        )
    reason = "timed out" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
    return StoreUnreachableError(
        f"{method} {place} was cut off: {reason}", remedy="run the command again, it goes on where it stopped"
    )
