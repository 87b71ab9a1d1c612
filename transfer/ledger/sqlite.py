"""A ledger in a SQLite file: looked at before it is touched, opened so that a commit survives loss of power.

- WAL, synchronous=FULL: a commit waits until the log is on the disk. NORMAL would only guard against a
  killed process: after a loss of power the last commits would be gone, whole uploads with them, although
  they were acknowledged. FULL costs one fsync a batch, some a second.
- A file that is not a ledger is refused before anything is written to it, as the switch to WAL would be.
- The file is for its owner alone: it names every key.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

from sqlalchemy import URL, Connection, NullPool, event
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from transfer.errors import TransferError
from transfer.ledger.failures import ledger_errors
from transfer.ledger.lock_file import locked
from transfer.ledger.schema import APPLICATION_ID

_PRAGMAS = (
    "synchronous = FULL",
    "foreign_keys = ON",
    "busy_timeout = 5000",  # milliseconds: somebody may look into it with another program
    "cache_size = -16384",  # KiB
    "wal_autocheckpoint = 4096",  # pages, 16 MiB: what is written often is copied seldom
    "journal_size_limit = 67108864",
)


@asynccontextmanager
async def open_sqlite(path: str) -> AsyncIterator[AsyncConnection]:
    """Open or make a ledger's file, for this process alone.

    Raises:
        LockedError: another process has it.
        TransferError: it is no ledger, or cannot be opened.
    """
    # Absolute: SQLite takes names such as `file:x` and `:memory:` for something else.
    absolute = os.path.abspath(path)  # noqa: ASYNC240 - it asks for the working directory, no disk
    with locked(absolute):
        await asyncio.to_thread(_prepare, absolute, path)
        url = URL.create("sqlite+aiosqlite", database=absolute)
        engine = create_async_engine(url, poolclass=NullPool, hide_parameters=True)
        event.listen(engine.sync_engine, "connect", _configure)
        event.listen(engine.sync_engine, "begin", _begin)
        with ledger_errors(path):
            connection = await engine.connect()
        try:
            yield connection
        finally:
            with ledger_errors(path):
                await connection.close()


def _prepare(absolute: str, name: str) -> None:
    """Make the file, or find out whose it is; switch it to WAL, which it remembers."""
    with ledger_errors(name):
        os.close(os.open(absolute, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(absolute, isolation_level=None)) as file:
            _refuse_foreign(file, name)
            file.execute("PRAGMA journal_mode = WAL")


def _refuse_foreign(file: sqlite3.Connection, name: str) -> None:
    (mark,) = file.execute("PRAGMA application_id").fetchone()
    (tables,) = file.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if mark != APPLICATION_ID and (mark or tables):
        raise TransferError(
            f"{name} is another program's database", remedy="name another file for the ledger"
        )


def _configure(connection: Any, _record: object) -> None:
    # Python would begin transactions before some statements and not before others: we say when, see `_begin`.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
