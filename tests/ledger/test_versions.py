"""Schemas: made by the scripts, brought up by them, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from tests.ledger.making import DEVICE, entry, job_of, opened
from transfer.errors import TransferError
from transfer.formats.custody import Head
from transfer.ledger import schema
from transfer.ledger.database import Database
from transfer.ledger.ledger import Ledger
from transfer.ledger.sqlite import open_sqlite
from transfer.ledger.values import ObjectState
from transfer.ledger.versions import _upgrade, bring_up, packaged_scripts

NEXT = '''
"""The next version, for tests alone."""
import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

def upgrade():
    op.add_column("objects", sa.Column("version_id", sa.Text, nullable=False, server_default="none"))
    op.create_table("labels", sa.Column("name", sa.Text, primary_key=True))
'''


@pytest.fixture
def following(tmp_path: Path) -> Callable[[str], Config]:
    """The scripts with one more: `NEXT`, and what is put behind it."""

    def make(more: str = "") -> Config:
        place = tmp_path / "more scripts"
        place.mkdir(exist_ok=True)
        (place / "v0004.py").write_text(NEXT + more)
        scripts = packaged_scripts()
        ours = ScriptDirectory.from_config(scripts).versions
        scripts.set_main_option("path_separator", "os")
        scripts.set_main_option("version_locations", os.pathsep.join([ours, str(place)]))
        return scripts

    return make


async def in_transaction(ledger: Ledger, work: Callable[[Connection], object]) -> object:
    database: Database = ledger.jobs._database
    return await database.run(lambda connection: connection.run_sync(work))


async def test_the_scripts_make_what_the_code_expects(where: str) -> None:
    def made_by_scripts(connection: Connection) -> list[object]:
        schema.metadata.drop_all(connection)
        connection.exec_driver_sql(f"DROP TABLE {schema.VERSION_TABLE}")
        _upgrade(connection, "x", None, schema.VERSION, packaged_scripts())
        options = {"version_table": schema.VERSION_TABLE, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        return compare_metadata(context, schema.metadata)

    async with opened(where) as ledger:
        assert await in_transaction(ledger, made_by_scripts) == []
    async with opened(where):  # its version is there too
        pass


async def test_an_empty_database_gets_the_very_tables_that_the_scripts_make(tmp_path: Path) -> None:
    """SQLite keeps the words of each statement, so this compares also what no inspection tells."""

    def by_scripts(connection: Connection) -> None:
        _upgrade(connection, "x", None, schema.VERSION, packaged_scripts())

    async def words(name: str, make: Callable[[Connection], None]) -> list[tuple[str, list[str]]]:
        async with open_sqlite(str(tmp_path / name)) as connection, connection.begin():
            await connection.run_sync(make)
            rows = await connection.exec_driver_sql("SELECT name, sql FROM sqlite_schema ORDER BY name")
            version = await connection.exec_driver_sql(f"SELECT * FROM {schema.VERSION_TABLE}")
            return [(name, (sql or "").split()) for name, sql in rows] + [("", list(version.scalars()))]

    assert await words("ours", lambda c: bring_up(c, "x")) == await words("theirs", by_scripts)


def test_the_code_expects_the_newest_script() -> None:
    scripts = ScriptDirectory.from_config(packaged_scripts())
    assert scripts.get_heads() == [schema.VERSION]
    assert scripts.get_bases() == ["0001"]


async def test_alembic_is_not_even_looked_at_where_nothing_is_to_do(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(where):
        pass
    monkeypatch.setattr("transfer.ledger.versions._upgrade", lambda *_: pytest.fail("upgraded"))
    async with opened(where):
        pass


async def test_to_a_newer_version_with_all_that_is_there(where: str, following: Callable[[], Config]) -> None:
    async with opened(where) as ledger:
        await job_of(ledger)
        await ledger.recorder.object(entry(0))
        await ledger.recorder.flush()
        await in_transaction(ledger, lambda c: bring_up(c, "x", to="0004", scripts=following()))

        def look(connection: Connection) -> object:
            row = connection.exec_driver_sql("SELECT key, version_id FROM objects").one()
            connection.exec_driver_sql("SELECT name FROM labels")
            return tuple(row)

        assert await in_transaction(ledger, look) == ("key-0", "none")
        # Once more changes nothing.
        await in_transaction(ledger, lambda c: bring_up(c, "x", to="0004", scripts=following()))
    with pytest.raises(TransferError, match="is of version 0004, and this program knows none after 0003"):
        async with opened(where):
            pass


async def test_a_ledger_of_version_1_learns_to_remember_custody(where: str) -> None:
    def back(connection: Connection) -> None:
        """To what version 1 made: it had all but these tables."""
        for table in (schema.custody, schema.members, schema.upload_versions, schema.made_versions):
            table.drop(connection)
        for indexed in (schema.devices, schema.jobs):
            next(iter(indexed.indexes)).drop(connection)
        connection.exec_driver_sql(f"UPDATE {schema.VERSION_TABLE} SET version_num = '0001'")

    async with opened(where) as ledger:
        job = await job_of(ledger)
        await in_transaction(ledger, back)
        with pytest.raises(TransferError, match="custody"):
            await ledger.devices.custody(DEVICE.device_id)
    async with opened(where) as ledger:
        assert await ledger.devices.custody(DEVICE.device_id) is None
        await ledger.devices.remember_custody(DEVICE.device_id, Head(3, "3e" * 32))
        assert await ledger.devices.custody(DEVICE.device_id) == Head(3, "3e" * 32)
        assert await ledger.jobs.get(job.number) == job


async def test_a_script_that_fails_half_way_leaves_the_version_before(
    where: str, following: Callable[[str], Config]
) -> None:
    async with opened(where) as ledger:
        await job_of(ledger)
        await ledger.recorder.object(entry(0))
        await ledger.recorder.flush()
        failing = following("    op.execute('INSERT INTO nowhere VALUES (1)')\n")
        with pytest.raises(TransferError, match=r"the database reports an error .*nowhere"):
            await in_transaction(ledger, lambda c: bring_up(c, "x", to="0004", scripts=failing))
    async with opened(where) as ledger:
        assert await ledger.objects.page(1, ObjectState.DONE) == [entry(0)]
        with pytest.raises(TransferError, match="labels"):
            await in_transaction(ledger, lambda c: c.exec_driver_sql("SELECT name FROM labels"))


async def test_an_empty_database_goes_to_a_newer_version_in_one_go(
    tmp_path: Path, following: Callable[[], Config]
) -> None:
    async with open_sqlite(str(tmp_path / "ledger.sqlite")) as connection, connection.begin():
        await connection.run_sync(bring_up, "x", to="0004", scripts=following())
        await connection.exec_driver_sql("SELECT name FROM labels")
