"""One connection of `stores.download`, with at most one answer on its way."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol, cast

from transfer.stores.download_answer import Answer, AnswerReader, ProtocolError

_AHEAD_BYTES: Final = 1 << 20  # of a body that nobody takes yet


class Owner(Protocol):
    """What a connection needs of whoever has it."""

    @property
    def scratch(self) -> memoryview:
        """Where bytes arrive first."""

    def forget(self, connection: Connection) -> None:
        """It was lost."""


class Connection(asyncio.BufferedProtocol):
    """One connection, with at most one answer on its way.

    Attributes:
        got_nothing: not one byte came for the request at hand.
        waits_since: when the last byte came that somebody waits for; None while nobody does.
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._reader: AnswerReader | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._is_paused = False
        self.got_nothing = True
        self.waits_since: float | None = None

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

    async def ask(self, request: bytes, *, has_body: bool) -> None:
        """Send a request and wait for the head of its answer.

        Raises:
            OSError, ProtocolError: there was none.
        """
        if self._error is not None or self._transport is None:
            self.got_nothing = True
            raise self._error or ConnectionResetError("closed")
        self._reader = AnswerReader(has_body=has_body)
        self.got_nothing = True
        self._transport.write(request)
        while self._reader.answer is None:
            await self._more()

    async def take(self) -> bytes:
        """The next piece of the body; empty at its end.

        Raises:
            OSError, ProtocolError: it broke off.
        """
        reader = self._reader
        if reader is None:
            raise AssertionError("nothing was asked")
        while not (piece := reader.take()):
            if reader.is_done:
                return b""
            if self._is_paused and self._transport is not None:
                self._is_paused = False
                self._transport.resume_reading()
            await self._more()
        return piece

    async def _more(self) -> None:
        """Wait until something came."""
        if self._error is not None:
            raise self._error
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        self.waits_since = loop.time()
        try:
            await self._waiter
        finally:
            self._waiter = None
            self.waits_since = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """See asyncio."""
        return self._owner.scratch

    def buffer_updated(self, nbytes: int) -> None:
        """See asyncio."""
        self.got_nothing = False
        reader = self._reader
        if reader is None:
            self.fail(ProtocolError("bytes that nobody asked for"))
            return
        try:
            reader.feed(bytes(self._owner.scratch[:nbytes]))
        except ProtocolError as error:
            self.fail(error)
            return
        if reader.waiting_bytes > _AHEAD_BYTES and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """See asyncio."""
        if self._reader is not None:
            self._reader.end()
            self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._owner.forget(self)
        self._error = self._error or exc or ConnectionResetError("the connection was closed")
        self._wake()

    def fail(self, error: Exception) -> None:
        """Give the connection up."""
        self._error = self._error or error
        self.drop()
        self._wake()

    def drop(self) -> None:
        """Cut it."""
        self._error = self._error or ConnectionResetError("closed")
        self._owner.forget(self)
        if self._transport is not None:
            self._transport.abort()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            if self._error is not None:
                self._waiter.set_exception(self._error)
            else:
                self._waiter.set_result(None)
