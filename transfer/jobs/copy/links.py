"""Which path has the content of an inode with several names; on disk, not in memory, so that a farm of hard
links stays cheap.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from transfer.core.paths import parent

_TABLES = """
PRAGMA cache_size = -8192;
PRAGMA journal_mode = OFF;
CREATE TABLE names (
    volume TEXT, inode TEXT, path BLOB, size INTEGER, mtime INTEGER, is_new INTEGER,
    PRIMARY KEY (volume, inode)
) WITHOUT ROWID;
CREATE TABLE unread (path BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE kept (path BLOB PRIMARY KEY, target BLOB) WITHOUT ROWID;
CREATE TABLE stale (path BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE stored_anew (path BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE touched (path BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE outdated (path BLOB PRIMARY KEY) WITHOUT ROWID;
BEGIN;
"""
_STALE = "SELECT kept.path FROM kept JOIN stored_anew ON kept.target = stored_anew.path"


@dataclass(frozen=True, slots=True)
class FirstName:
    """The path that carries an inode's content, what the file looked like then, and whether this run stores
    it."""

    path: bytes
    size_bytes: int
    mtime_ns: int
    is_new: bool


class LinkTable:
    """First names by (volume, inode). The database is private, temporary, and spills to disk by itself."""

    def __init__(self) -> None:
        self._earlier: Iterable[tuple[int, int, FirstName]] = ()
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(_TABLES)

    def find(self, volume: int, inode: int) -> FirstName | None:
        """The first name of an inode, where one was seen."""
        earlier, self._earlier = self._earlier, ()
        for first in earlier:
            self.remember(*first)
        query = "SELECT path, size, mtime, is_new FROM names WHERE volume = ? AND inode = ?"
        row = self._database.execute(query, (str(volume), str(inode))).fetchone()
        return FirstName(row[0], row[1], row[2], bool(row[3])) if row else None

    def remember(self, volume: int, inode: int, name: FirstName) -> None:
        """Note or replace the first name of an inode."""
        row = (str(volume), str(inode), name.path, name.size_bytes, name.mtime_ns, name.is_new)
        self._database.execute("INSERT OR REPLACE INTO names VALUES (?, ?, ?, ?, ?, ?)", row)

    def mark_unread(self, path: bytes) -> None:
        """Note that the content of a path could not be read after all."""
        self._database.execute("INSERT OR IGNORE INTO unread VALUES (?)", (path,))

    def is_unread(self, path: bytes) -> bool:
        """Whether the content of a path could not be read in this pass."""
        found = self._database.execute("SELECT 1 FROM unread WHERE path = ?", (path,))
        return found.fetchone() is not None

    def keep(self, path: bytes, target: bytes) -> None:
        """Note that the link at `path`, recorded in an older run, was found unchanged."""
        self._database.execute("INSERT OR IGNORE INTO kept VALUES (?, ?)", (path, target))

    def is_stale(self, path: bytes) -> bool:
        """Whether the link at `path` was kept in the pass before, in which its target got new content."""
        found = self._database.execute("SELECT 1 FROM stale WHERE path = ?", (path,))
        return found.fetchone() is not None

    def mark_stored_anew(self, path: bytes) -> None:
        """Note that a path got new content although size and time are the old ones.

        Links to it, and the folder that it is in, were taken for unchanged: another pass records them.
        """
        self._database.execute("INSERT OR IGNORE INTO stored_anew VALUES (?)", (path,))
        if folder := parent(path):
            self.touch(folder)

    def touch(self, folder: bytes) -> None:
        """Note that something new is in a folder whose record can come in another pass only."""
        self._database.execute("INSERT OR IGNORE INTO touched VALUES (?)", (folder,))

    def is_stored_anew(self, path: bytes) -> bool:
        """Whether a path got new content in this pass."""
        found = self._database.execute("SELECT 1 FROM stored_anew WHERE path = ?", (path,))
        return found.fetchone() is not None

    def is_outdated(self, folder: bytes) -> bool:
        """Whether something in a folder was stored anew in the pass before."""
        found = self._database.execute("SELECT 1 FROM outdated WHERE path = ?", (folder,))
        return found.fetchone() is not None

    def wants_another_pass(self) -> bool:
        """Whether links or folders were taken for unchanged that are not."""
        tables = (_STALE, "SELECT path FROM touched")
        return any(self._database.execute(f"{found} LIMIT 1").fetchone() for found in tables)

    def start_pass(self, earlier: Iterable[tuple[int, int, FirstName]]) -> None:
        """Forget the last walk, all but what is to be recorded again because of what it stored anew.

        Args:
            earlier: names that sort before where this walk begins, as (volume, inode, name); read only when
                the first question comes.
        """
        self._earlier = earlier
        self._database.execute("DELETE FROM outdated")
        self._database.execute("DELETE FROM stale")
        self._database.execute("INSERT INTO outdated SELECT path FROM touched")
        self._database.execute("INSERT INTO stale " + _STALE)
        for table in ("names", "unread", "kept", "stored_anew", "touched"):
            self._database.execute(f"DELETE FROM {table}")  # noqa: S608 - our own words

    def close(self) -> None:
        """Drop the table."""
        self._database.close()
