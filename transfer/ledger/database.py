"""One connection to a ledger, and one transaction after the other on it.

Guarantees: transactions never overlap; each is committed whole or not at all, and durable when `run`
    returns; whoever is cancelled while waiting leaves it running to its end, since a transaction cut off in
    the middle would leave the connection unusable.

One connection is enough: the ledger is ours alone, transactions take milliseconds, and readers get pages.
It is also what makes us its only writer: on a server the lock belongs to the connection. So a connection
that is lost is never made anew in silence; another process may have taken over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from transfer.errors import LedgerError
from transfer.ledger.failures import ledger_errors

Value = TypeVar("Value")
Work = Callable[[AsyncConnection], Awaitable[Value]]


class Database:
    """An open database.

    Args:
        name: as messages call it.
        connection: open, idle, used by nobody else.
    """

    def __init__(self, name: str, connection: AsyncConnection) -> None:
        self.name = name
        self._connection = connection
        self._turn = asyncio.Lock()

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._connection.dialect.name

    async def run(self, work: Work[Value]) -> Value:
        """Carry work out in a transaction of its own.

        Args:
            work: gets the connection; must not keep it.

        Raises:
            LedgerError: nothing of it was done; or, where a server's connection was lost, perhaps all of
                it.
        """
        task = asyncio.ensure_future(self._alone(work))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_forget)
            raise

    async def aclose(self) -> None:
        """Wait for the transaction under way, then close."""
        async with self._turn:
            with ledger_errors(self.name):
                await self._connection.close()

    async def _alone(self, work: Work[Value]) -> Value:
        async with self._turn:
            if self._connection.closed or self._connection.invalidated:
                raise LedgerError(
                    f"ledger {self.name}: the connection was lost", remedy="start the job again: it goes on"
                )
            with ledger_errors(self.name):
                async with self._connection.begin():
                    return await work(self._connection)


def _forget(task: asyncio.Task[Value]) -> None:
    """Nobody waits any more for what became of it."""
    if not task.cancelled():
        task.exception()
