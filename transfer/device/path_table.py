"""A table of paths on temporary disk: what must be remembered of some entries without growing in memory.

Threads may share one. A job that is called off closes its tables while a thread that nobody waits for is
still at work; SQLite's own connection would crash the process then. Here the thread gets an error, and ends.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator

_ROWS = 256  # of all paths, taken at a time


class PathTable:
    """Path to text. Private to the process, gone with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA cache_size = -8192")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE paths (path BLOB PRIMARY KEY, value TEXT) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def put(self, path: bytes, value: str) -> None:
        """Note or replace the value of a path."""
        with self._lock:
            self._database.execute("INSERT OR REPLACE INTO paths VALUES (?, ?)", (path, value))

    def get(self, path: bytes) -> str | None:
        """The value of a path."""
        with self._lock:
            row = self._database.execute("SELECT value FROM paths WHERE path = ?", (path,)).fetchone()
        return str(row[0]) if row else None

    def items(self) -> Iterator[tuple[bytes, str]]:
        """All paths in order."""
        with self._lock:
            cursor = self._database.execute("SELECT path, value FROM paths ORDER BY path")
        while True:
            with self._lock:
                rows = cursor.fetchmany(_ROWS)
            if not rows:
                return
            yield from rows

    def __enter__(self) -> PathTable:
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._database.close()
