"""A connection for long ranges: a thread receives them straight into the memory where they are wanted.

An event loop moves large bodies at several times the processor time that the system itself needs for them.
Here a thread waits in the system until all is there, without the interpreter's lock. Whoever waits for the
thread and is cancelled cuts the connection, and goes on only when the thread has let go of the memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import Final, TypeVar

from transfer.stores.download_answer import Answer, AnswerReader, ProtocolError

_HEAD_BYTES: Final = 16 * 1024
_PIECE_BYTES: Final = 256 * 1024

Result = TypeVar("Result")


class LongConnection:
    """One connection, with at most one answer on its way; its calls come one after the other.

    Args:
        made: a connected socket that blocks, or a TLS one that has not shaken hands yet.
        threads: where the calls wait.
        stall_timeout_s: a peer that gives nothing so long is given up.
        lost: told once when the connection is given up.

    Attributes:
        got_nothing: not one byte came for the request at hand.
        waits_since: always None: the socket has its own timeout.
    """

    waits_since: float | None = None

    def __init__(
        self,
        made: socket.socket,
        threads: Executor,
        stall_timeout_s: float,
        lost: Callable[[LongConnection], None],
    ) -> None:
        self._socket = made
        self._threads = threads
        self._lost = lost
        self._is_tls = isinstance(made, ssl.SSLSocket)
        self._reader: AnswerReader | None = None
        self._error: Exception | None = None
        self.got_nothing = True
        if self._is_tls:
            made.settimeout(stall_timeout_s)
        else:  # the system itself waits, until all is there or for so long
            made.settimeout(None)
            wait = struct.pack("ll", int(stall_timeout_s), int(stall_timeout_s % 1 * 1e6))
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, wait)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, wait)

    @property
    def answer(self) -> Answer:
        """Of the request at hand; its head is there."""
        if self._reader is None or self._reader.answer is None:
            raise AssertionError("no answer yet")
        return self._reader.answer

    @property
    def is_reusable(self) -> bool:
        """Whether the answer was taken whole and the peer keeps the connection."""
        reader = self._reader
        return self._error is None and reader is not None and reader.is_done and reader.keeps

    async def shake_hands(self) -> None:
        """Begin TLS, where it is one of TLS.

        Raises:
            OSError: the peer is not trusted, or does not speak it.
        """
        if isinstance(self._socket, ssl.SSLSocket):
            await self._in_thread(self._socket.do_handshake)

    async def ask(self, request: bytes, *, has_body: bool) -> None:
        """Send a request and wait for the head of its answer.

        Raises:
            OSError, ProtocolError: there was none.
        """
        self.got_nothing = True
        if self._error is not None or (self._reader is not None and self._has_something()):
            raise self._error or ConnectionResetError("closed")
        self._reader = AnswerReader(has_body=has_body)
        await self._in_thread(lambda: self._ask(request))

    async def take(self) -> bytes:
        """The next piece of the body; empty at its end.

        Raises:
            OSError, ProtocolError: it broke off.
        """
        piece = bytearray(_PIECE_BYTES)
        return bytes(memoryview(piece)[: await self.receive_into(memoryview(piece))])

    async def receive_into(self, place: memoryview) -> int:
        """Put the next bytes of the body there; fewer than there is room for where it ends or breaks off.

        Returns:
            How many; none at the end of the body.

        Raises:
            OSError, ProtocolError: it broke off.
        """
        reader = self._reader
        if reader is None:
            raise AssertionError("nothing was asked")
        if reader.is_done and not reader.waiting_bytes:
            return 0
        if self._error is not None:
            raise self._error
        return await self._in_thread(lambda: self._fill(reader, place))

    def drop(self) -> None:
        """Cut it; not while a thread is at work on it."""
        self._cut()
        self._lost(self)
        self._socket.close()

    def fail(self, error: Exception) -> None:
        """Give the connection up."""
        self._error = self._error or error
        self._cut()

    def _cut(self) -> None:
        """Wake whoever waits for the peer; there is nothing to come any more."""
        self._error = self._error or ConnectionResetError("closed")
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _has_something(self) -> bool:
        """Whether the peer says something that nobody asked for, mostly that it is gone."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    async def _in_thread(self, function: Callable[[], Result]) -> Result:
        future = asyncio.get_running_loop().run_in_executor(self._threads, function)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            self._cut()
            while not future.done():  # the memory is the thread's until then
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([future])
            future.exception()
            raise

    def _ask(self, request: bytes) -> None:
        reader = self._reader
        if reader is None:
            raise AssertionError("no reader")
        with _timeouts():
            self._socket.sendall(request)
            while reader.answer is None:
                self._feed(reader, _HEAD_BYTES)

    def _feed(self, reader: AnswerReader, most_bytes: int) -> None:
        """Have the reader read what comes next."""
        data = self._socket.recv(most_bytes)
        if data:
            self.got_nothing = False
            reader.feed(data)
            return
        reader.end()
        if not reader.is_done:
            raise ConnectionResetError("the connection was closed")

    def _fill(self, reader: AnswerReader, place: memoryview) -> int:
        done = 0
        try:
            with _timeouts():
                while done < len(place):
                    if reader.waiting_bytes:
                        done += reader.take_into(place[done:])
                    elif reader.is_done:
                        break
                    elif reader.plain_bytes:
                        done += self._receive(reader, place[done : done + reader.plain_bytes])
                    else:
                        self._feed(reader, _PIECE_BYTES)
        except (OSError, ProtocolError) as error:
            self._error = self._error or error
            if not done:
                raise
        return done

    def _receive(self, reader: AnswerReader, place: memoryview) -> int:
        count = self._socket.recv_into(place, 0, 0 if self._is_tls else socket.MSG_WAITALL)
        if not count:
            raise ConnectionResetError("the connection was closed")
        reader.passed(count)
        return count


@contextlib.contextmanager
def _timeouts() -> Iterator[None]:
    """A socket's own timeout has another name in the system."""
    try:
        yield
    except BlockingIOError:
        raise TimeoutError from None


async def dial(host: str, port: int, context: ssl.SSLContext | None) -> socket.socket:
    """A socket that is connected; one of TLS has not shaken hands yet.

    Raises:
        OSError: nobody is there.
    """
    loop = asyncio.get_running_loop()
    failure: OSError = ConnectionRefusedError("no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        made = socket.socket(family, kind, protocol)
        try:
            made.setblocking(False)
            await loop.sock_connect(made, address)
            made.setblocking(True)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is None:
                return made
            return context.wrap_socket(made, server_hostname=host, do_handshake_on_connect=False)
        except OSError as error:
            made.close()
            failure = error
        except BaseException:
            made.close()
            raise
    raise failure
