"""Errors of the databases and their drivers to the errors of the product: two tables.

SQLite's are told apart by the names of its result codes (sqlite.org/rescode.html), PostgreSQL's by SQLSTATE
(PostgreSQL manual, appendix A); the longest beginning that is in the table counts.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from transfer.errors import AccessError, LedgerError, LockedError, TransferError
from transfer.ledger.text import storable_error

_GO_ON = "then start the job again: it goes on where the ledger ends"
_RESTORE = "put a backup in its place, or move it away: imports then begin anew and send everything again"

# Code: class, what happened, remedy.
_Row = tuple[type[TransferError], str, str]
_SQLITE: Mapping[str, _Row] = {
    "SQLITE_FULL": (LedgerError, "its disk is full", f"free some space, {_GO_ON}"),
    "SQLITE_IOERR": (LedgerError, "its disk failed", f"check the disk, {_GO_ON}"),
    "SQLITE_IOERR_SHMSIZE": (LedgerError, "its disk is full", f"free some space, {_GO_ON}"),
    "SQLITE_CORRUPT": (LedgerError, "it is damaged", _RESTORE),
    "SQLITE_NOTADB": (LedgerError, "it is no ledger, or damaged", f"name another file; or {_RESTORE}"),
    "SQLITE_BUSY": (LockedError, "another program is using it", "close that program"),
    "SQLITE_READONLY": (AccessError, "it cannot be written", "allow writing to the file and its folder"),
    "SQLITE_CANTOPEN": (
        LedgerError,
        "it cannot be opened",
        "look whether the folder is there and writable",
    ),
}
_POSTGRESQL: Mapping[str, _Row] = {
    "08": (LedgerError, "the connection was lost", f"look after the server, {_GO_ON}"),
    "25006": (LedgerError, "the server is read-only", "name the primary server"),
    "28": (AccessError, "the server refuses user or password", "check the URL"),
    "3D000": (LedgerError, "the server has no such database", "make it with createdb"),
    "42501": (
        AccessError,
        "the user may not do that",
        "grant CREATE on the database, or make the user its owner",
    ),
    "53100": (LedgerError, "the server's disk is full", f"free some space, {_GO_ON}"),
    "53300": (LedgerError, "the server has no connection left", "raise max_connections, or close some"),
    "57P": (LedgerError, "the server is stopping or starting", f"look after the server, {_GO_ON}"),
    "XX": (LedgerError, "the database is damaged", "restore it from a backup"),
}
_FILES: Mapping[str, _Row] = {
    "EACCES": (AccessError, "it cannot be written", "allow writing to the file and its folder"),
    "EROFS": (AccessError, "it cannot be written", "name a place that can be written to"),
    "ENOSPC": (LedgerError, "its disk is full", f"free some space, {_GO_ON}"),
    "EDQUOT": (LedgerError, "its disk is full", f"free some space, {_GO_ON}"),
    "EIO": (LedgerError, "its disk failed", f"check the disk, {_GO_ON}"),
    "E": (LedgerError, "it cannot be opened", "look whether the folder is there and writable"),
}
_OTHERWISE: _Row = (LedgerError, "the database reports an error", "")
_NO_ANSWER: _Row = (LedgerError, "there is no answer from the server", f"look after the server, {_GO_ON}")


@contextmanager
def ledger_errors(name: str) -> Iterator[None]:
    """Around calls of a driver.

    Args:
        name: of the ledger, as messages call it.

    Raises:
        TransferError: in place of whatever database, driver and sockets raise. Faults of ours pass through.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise translate(name, error) from error
    except Exception as error:
        # asyncpg's own errors have no base that could be named without importing it.
        if not _code(error):
            raise
        raise translate(name, error) from error


def translate(name: str, error: BaseException) -> TransferError:
    """What to tell about an error of a driver."""
    code = _code(error)
    origin = _origin(error)
    fallback = _NO_ANSWER if isinstance(origin, OSError) else _OTHERWISE
    table = _SQLITE if code.startswith("SQLITE") else _POSTGRESQL
    if isinstance(origin, OSError) and origin.filename is not None:  # of a file, not of a socket
        table, code = _FILES, errno.errorcode.get(origin.errno or 0, "E")
    class_, what, remedy = _look_up(table, code) or fallback
    words = storable_error(str(_origin(error)).strip().partition("\n")[0])
    return class_(f"ledger {name}: {what} ({words or type(_origin(error)).__name__})", remedy=remedy)


def _look_up(table: Mapping[str, _Row], code: str) -> _Row | None:
    found = [beginning for beginning in table if code.startswith(beginning)]
    return table[max(found, key=len)] if found else None


def _origin(error: BaseException) -> BaseException:
    """The driver's own error, without what SQLAlchemy wraps around it."""
    seen = error
    while (inner := getattr(seen, "orig", None) or getattr(seen, "driver_exception", None)) is not None:
        seen = inner
    if seen.__cause__ is not None and not _own_code(seen) and _own_code(seen.__cause__):
        return seen.__cause__
    return seen


def _code(error: BaseException) -> str:
    return _own_code(_origin(error))


def _own_code(error: BaseException) -> str:
    code = getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None)
    return code if isinstance(code, str) else ""
