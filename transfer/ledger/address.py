"""Where a ledger is: a path is a SQLite file, `postgresql://` a database on a server. Pure.

A URL may hold a password: no message ever shows more of it than host, port and database.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from transfer.errors import UsageError

_SCHEMES = ("postgresql", "postgresql+asyncpg", "postgres")


@dataclass(frozen=True, slots=True)
class FileAddress:
    """A SQLite file."""

    path: str

    @property
    def name(self) -> str:
        """What messages call the ledger."""
        return self.path


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A database on a PostgreSQL server."""

    url: URL

    @property
    def name(self) -> str:
        """What messages call the ledger: nothing secret."""
        bare = URL.create("postgresql", host=self.url.host, port=self.url.port, database=self.url.database)
        return bare.render_as_string()


def parse_address(url_or_path: str) -> FileAddress | ServerAddress:
    """Tell a path from a URL.

    Raises:
        UsageError: it is neither a path nor the URL of a PostgreSQL database.
    """
    scheme, separator, _ = url_or_path.partition("://")
    if not separator:
        if not url_or_path or "\0" in url_or_path:
            raise UsageError("the ledger needs a path", remedy="name a file, or a postgresql:// URL")
        return FileAddress(url_or_path)
    if scheme not in _SCHEMES:
        raise UsageError(
            f"{scheme}:// is no ledger that is known here", remedy="name a file, or a postgresql:// URL"
        )
    try:
        url = make_url(url_or_path)
    except (ArgumentError, ValueError):  # the cause would show the password
        raise UsageError(
            "the URL of the ledger cannot be read",
            remedy="write it as postgresql://user:password@host:port/database, special characters as %XX",
        ) from None
    if not url.database:
        raise UsageError(
            f"the URL of the ledger at {url.host} names no database",
            remedy="write it as postgresql://user:password@host:port/database",
        )
    return ServerAddress(url.set(drivername="postgresql+asyncpg"))
