"""The schema's version: found, and brought up to what this code was written for, in one transaction.

An empty database gets its tables straight from `schema`; that the scripts lead to the very same ones is
tested. So Alembic is imported only where an older ledger is to be changed: it takes a quarter of a second.
The scripts in migrations/ are found beside this module, so they need no more than to be in the wheel.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    column,
    inspect,
    select,
    table,
)

from transfer.errors import TransferError
from transfer.ledger.schema import APPLICATION_ID, VERSION, VERSION_TABLE, metadata

if TYPE_CHECKING:
    from alembic.config import Config


def bring_up(connection: Connection, name: str, *, to: str = VERSION, scripts: Config | None = None) -> None:
    """Make the tables of an empty database, or bring those of an older version up to date.

    Args:
        connection: in a transaction, which the caller commits.
        name: of the ledger, as messages call it.
        to: the version to end at.
        scripts: that lead there; None: those of this package.

    Raises:
        TransferError: it is a newer program's ledger, or another program's database.
    """
    before = _version(connection, name)
    if before == to:
        return
    if before is None and to == VERSION:
        _make(connection)
    else:
        _upgrade(connection, name, before, to, scripts or packaged_scripts())
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")


def _make(connection: Connection) -> None:
    """All tables of the newest version, and Alembic's own, as it would have made it."""
    metadata.create_all(connection, checkfirst=False)
    is_key = PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc")
    version = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32), nullable=False), is_key)
    version.create(connection)
    connection.execute(version.insert().values(version_num=VERSION))


def packaged_scripts() -> Config:
    """Where Alembic finds the scripts of this package."""
    from alembic.config import Config  # noqa: PLC0415 - see above

    config = Config()
    place = os.path.join(os.path.dirname(__file__), "migrations")
    config.set_main_option("script_location", place.replace("%", "%%"))
    return config


def _version(connection: Connection, name: str) -> str | None:
    """The version of the tables; None where there are none."""
    tables = inspect(connection).get_table_names()
    if VERSION_TABLE in tables:
        version = select(column("version_num", Text)).select_from(table(VERSION_TABLE))
        return str(connection.execute(version).scalar())
    if tables:
        raise TransferError(
            f"ledger {name}: the database has tables of another program", remedy="name an empty database"
        )
    return None


def _upgrade(connection: Connection, name: str, before: str | None, to: str, scripts: Config) -> None:
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    known = {script.revision for script in ScriptDirectory.from_config(scripts).walk_revisions()}
    if before is not None and before not in known:
        raise TransferError(
            f"ledger {name} is of version {before}, and this program knows none after {to}",
            remedy="use the program that wrote it, or a newer one",
        )
    scripts.attributes["connection"] = connection
    command.upgrade(scripts, to)
