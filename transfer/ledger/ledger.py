"""Opening a ledger, and its parts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from transfer.errors import TransferError
from transfer.ledger.address import FileAddress, parse_address
from transfer.ledger.database import Database
from transfer.ledger.devices import Devices
from transfer.ledger.failures import ledger_errors
from transfer.ledger.jobs import Jobs
from transfer.ledger.objects import Objects
from transfer.ledger.postgresql import open_postgresql
from transfer.ledger.recorder import FLUSH_AFTER_S, FLUSH_ROWS, Recorder
from transfer.ledger.sqlite import open_sqlite
from transfer.ledger.uploads import Uploads, next_number
from transfer.ledger.versions import bring_up
from transfer.ledger.writing import write_batch


@dataclass(frozen=True, slots=True)
class Ledger:
    """An open ledger.

    Attributes:
        name: as messages call it; nothing secret.
        recorder: takes what happens.
    """

    name: str
    recorder: Recorder
    devices: Devices
    jobs: Jobs
    objects: Objects
    uploads: Uploads


@asynccontextmanager
async def open_ledger(
    url_or_path: str,
    now: Callable[[], str],
    *,
    flush_rows: int = FLUSH_ROWS,
    flush_after_s: float = FLUSH_AFTER_S,
) -> AsyncIterator[Ledger]:
    """Open a ledger for this process alone; make it where there is none.

    What was recorded is flushed at the end.

    Args:
        url_or_path: a file, or `postgresql://user:password@host:port/database`.
        now: the time, RFC 3339 in UTC.
        flush_rows: as for `Recorder`.
        flush_after_s: as for `Recorder`.

    Raises:
        UsageError: it is no path and no URL of a PostgreSQL database.
        LockedError: another process has it.
        AccessError: the right to use it is missing.
        TransferError: it is damaged, another program's, of a newer version, or cannot be reached. At the
            end: what was recorded last could not be written; not raised where the block raises something
            itself.
    """
    address = parse_address(url_or_path)
    async with _opened(url_or_path) as connection:
        with ledger_errors(address.name):
            async with connection.begin():
                await connection.run_sync(bring_up, address.name)
                first = await next_number(connection)
        database = Database(address.name, connection)
        recorder = Recorder(
            partial(write_batch, database),
            now,
            next_upload=first,
            flush_rows=flush_rows,
            flush_after_s=flush_after_s,
        )
        devices, jobs = Devices(database, now), Jobs(database, recorder, now)
        ledger = Ledger(address.name, recorder, devices, jobs, Objects(database), Uploads(database))
        try:
            yield ledger
        except BaseException:
            with suppress(TransferError):
                await _close(recorder, database)
            raise
        await _close(recorder, database)


def _opened(url_or_path: str) -> AbstractAsyncContextManager[AsyncConnection]:
    address = parse_address(url_or_path)
    return open_sqlite(address.path) if isinstance(address, FileAddress) else open_postgresql(address)


async def _close(recorder: Recorder, database: Database) -> None:
    try:
        await recorder.aclose()
    finally:
        await database.aclose()
