"""A ledger in a PostgreSQL database: tables in a schema of their own, a lock that belongs to the connection.

The lock is a session's advisory lock, so it ends with the connection, and the server knows who has it. It
takes a connection straight to the server: a pooler that lends connections for single transactions
(PgBouncer's transaction mode) breaks it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from transfer.device.holder import holder
from transfer.errors import LockedError, TransferError, UsageError
from transfer.ledger.address import ServerAddress
from transfer.ledger.failures import ledger_errors
from transfer.ledger.schema import SCHEMA
from transfer.ledger.text import storable

_CONNECT_TIMEOUT_S = 15.0
_STATEMENT_TIMEOUT_S = 300.0  # a server that is gone without a word must not hold a job for ever

_SETTINGS = {
    "search_path": SCHEMA,
    "synchronous_commit": "on",  # the server's own default may be weaker
    # Every query here follows an index in its order. Of a table that grew within minutes the server has no
    # statistics yet, and would rather read and sort millions of rows for one page.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
}

# An advisory lock is a number that programs agree on; within a database this one means "the ledger".
_LOCK = int.from_bytes(b"ledger", "big")
_TAKE = text("SELECT pg_try_advisory_lock(:lock)")
_HOLDER = text(
    "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)"
    " WHERE locktype = 'advisory' AND granted AND objsubid = 1"
    " AND classid::bigint = :high AND objid::bigint = :low"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@asynccontextmanager
async def open_postgresql(address: ServerAddress) -> AsyncIterator[AsyncConnection]:
    """Connect to a ledger's database, for this process alone.

    Raises:
        LockedError: another process has it.
        AccessError: the server refuses the user.
        TransferError: there is no server, no such database, or it cannot hold our text.
    """
    engine = _engine(address)
    with ledger_errors(address.name):
        connection = await engine.connect()
    try:
        with ledger_errors(address.name):
            async with connection.begin():
                await _take_lock(connection, address.name)
                await _prepare(connection, address.name)
        yield connection
    finally:
        with ledger_errors(address.name):
            await connection.close()


def _engine(address: ServerAddress) -> AsyncEngine:
    arguments = {
        "server_settings": {**_SETTINGS, "application_name": holder()[:63]},
        "timeout": _CONNECT_TIMEOUT_S,
        "command_timeout": _STATEMENT_TIMEOUT_S,
    }
    try:
        return create_async_engine(
            address.url, poolclass=NullPool, connect_args=arguments, hide_parameters=True
        )
    except ModuleNotFoundError:
        raise UsageError(
            f"ledger {address.name}: the driver for PostgreSQL is not installed",
            remedy="pip install 'transfer-appliance[postgresql]'",
        ) from None


async def _take_lock(connection: AsyncConnection, name: str) -> None:
    if (await connection.execute(_TAKE, {"lock": _LOCK})).scalar_one():
        return
    halves = {"high": _LOCK >> 32, "low": _LOCK & 0xFFFFFFFF}
    who = (await connection.execute(_HOLDER, halves)).scalar()
    raise LockedError(
        f"ledger {name} is in use by {storable(who or '') or 'another process'}",
        remedy="wait until it is done, or stop it",
    )


async def _prepare(connection: AsyncConnection, name: str) -> None:
    encoding = (await connection.execute(text("SHOW server_encoding"))).scalar_one()
    if encoding != "UTF8":
        raise TransferError(
            f"ledger {name}: the database's encoding is {encoding}, which cannot hold every key",
            remedy="make one with createdb --encoding=UTF8 --template=template0",
        )
    known = text("SELECT 1 FROM pg_namespace WHERE nspname = :schema")
    if (await connection.execute(known, {"schema": SCHEMA})).scalar() is None:
        await connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
