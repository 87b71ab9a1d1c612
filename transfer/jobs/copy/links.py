"""Which path has the content of an inode with several names; on disk, not in memory, so that a farm of hard links stays cheap."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FirstName:
    """The path that carries an inode's content, and what the file looked like then."""

    path: bytes
    size_bytes: int
    mtime_ns: int


class LinkTable:
    """First names by (volume, inode). The database is private, temporary, and spills to disk by itself."""

    def __init__(self) -> None:
        self._earlier: Iterable[tuple[int, int, FirstName]] | None = None
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA cache_size = -8192")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(
            "CREATE TABLE names (volume TEXT, inode TEXT, path BLOB, size INTEGER, mtime INTEGER, PRIMARY KEY (volume, inode)) WITHOUT ROWID"
        )
        self._database.execute("CREATE TABLE unread (path BLOB PRIMARY KEY) WITHOUT ROWID")
        self._database.execute("CREATE TABLE used (path BLOB PRIMARY KEY) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def find(self, volume: int, inode: int) -> FirstName | None:
        """The first name of an inode, where one was seen."""
        if self._earlier is not None:
            earlier, self._earlier = self._earlier, None
            for name in earlier:
                self.remember(*name)
        query = "SELECT path, size, mtime FROM names WHERE volume = ? AND inode = ?"
        row = self._database.execute(query, (str(volume), str(inode))).fetchone()
        return FirstName(*row) if row else None

    def remember(self, volume: int, inode: int, name: FirstName) -> None:
        """Note or replace the first name of an inode."""
        row = (str(volume), str(inode), name.path, name.size_bytes, name.mtime_ns)
        self._database.execute("INSERT OR REPLACE INTO names VALUES (?, ?, ?, ?, ?)", row)

    def use(self, name: FirstName) -> None:
        """Note that another path was recorded as a link to this one."""
        self._database.execute("INSERT OR IGNORE INTO used VALUES (?)", (name.path,))

    def mark_unread(self, path: bytes) -> None:
        """Note that the content of a path could not be read after all."""
        self._database.execute("INSERT OR IGNORE INTO unread VALUES (?)", (path,))

    def is_unread(self, path: bytes) -> bool:
        """Whether the content of a path could not be read."""
        return self._database.execute("SELECT 1 FROM unread WHERE path = ?", (path,)).fetchone() is not None

    def has_broken_links(self) -> bool:
        """Whether a link was recorded to a path that could not be read."""
        return self._database.execute("SELECT 1 FROM used JOIN unread USING (path) LIMIT 1").fetchone() is not None

    def start_pass(self, earlier: Iterable[tuple[int, int, FirstName]]) -> None:
        """Forget the names of the last walk, but not what could not be read in it.

        Args:
            earlier: names that sort before where this walk begins, as (volume, inode, name); read only when the first question comes.
        """
        self._earlier = earlier
        self._database.execute("DELETE FROM names")
        self._database.execute("DELETE FROM used")

    def close(self) -> None:
        """Drop the table."""
        self._database.close()
