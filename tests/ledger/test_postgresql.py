"""The server: every way it can refuse or fail, told without the password; and nobody writes beside us."""

from __future__ import annotations

import pytest

from tests.ledger.making import entry, job_of, opened, states_of
from tests.simulators.postgres import PostgresServer
from tests.simulators.servers import free_port
from transfer.errors import AccessError, LockedError, TransferError, UsageError
from transfer.ledger.values import ObjectState


async def refusal_of(url: str, expected: type[TransferError], match: str) -> TransferError:
    with pytest.raises(expected, match=match) as refusal:
        async with opened(url):
            pass
    assert refusal.value.what.startswith("ledger postgresql://127.0.0.1:")
    assert refusal.value.remedy
    assert "word" not in str(refusal.value).replace("password", "")
    return refusal.value


async def test_a_wrong_password(server: PostgresServer) -> None:
    await refusal_of(server.url(password="wrongword"), AccessError, "refuses user or password")


async def test_a_database_that_is_not_there(server: PostgresServer) -> None:
    await refusal_of(server.url("nowhere"), TransferError, "no such database")


async def test_no_server_at_all() -> None:
    url = f"postgresql://user:pass-word@127.0.0.1:{free_port()}/data"
    await refusal_of(url, TransferError, "no answer from the server")


async def test_an_encoding_that_cannot_hold_every_key(server: PostgresServer) -> None:
    url = server.new_database("ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    await refusal_of(url, TransferError, "encoding is SQL_ASCII")


async def test_a_user_who_may_not_make_tables(server: PostgresServer) -> None:
    server.run("CREATE ROLE guest LOGIN PASSWORD 'guestword'")
    url = server.new_database()
    guest = server.url(url.rpartition("/")[2], user="guest", password="guestword")
    refusal = await refusal_of(guest, AccessError, "may not do that")
    assert "GRANT" in refusal.remedy.upper()


async def test_tables_of_another_program_in_our_schema(server: PostgresServer) -> None:
    url = server.new_database()
    server.run(
        "CREATE SCHEMA transfer_ledger; CREATE TABLE transfer_ledger.jobs (n int)", url.rpartition("/")[2]
    )
    await refusal_of(url, TransferError, "tables of another program")


async def test_tables_of_other_programs_beside_ours_are_none_of_our_business(server: PostgresServer) -> None:
    url = server.new_database()
    name = url.rpartition("/")[2]
    server.run("CREATE TABLE public.jobs (n int); CREATE TABLE public.alembic_version (n int)", name)
    async with opened(url) as ledger:
        await job_of(ledger)
    assert server.run("SELECT count(*) FROM public.jobs", name) == "0"
    assert server.run("SELECT count(*) FROM transfer_ledger.jobs", name) == "1"


async def test_a_newer_ledger(server: PostgresServer) -> None:
    url = server.new_database()
    async with opened(url):
        pass
    server.run("UPDATE transfer_ledger.ledger_version SET version_num = '0099'", url.rpartition("/")[2])
    await refusal_of(url, TransferError, "version 0099")


async def test_the_driver_is_missing(monkeypatch: pytest.MonkeyPatch, server: PostgresServer) -> None:
    monkeypatch.setitem(__import__("sys").modules, "asyncpg", None)
    refusal = await refusal_of(server.url(), UsageError, "driver for PostgreSQL is not installed")
    assert "transfer-appliance[postgresql]" in refusal.remedy


async def test_commits_wait_for_the_disk_whatever_the_server_would_do(server: PostgresServer) -> None:
    url = server.new_database()
    name = url.rpartition("/")[2]
    server.run(f"ALTER DATABASE {name} SET synchronous_commit = off")
    async with opened(url) as ledger:

        async def ask(connection: object) -> object:
            return (await connection.exec_driver_sql("SHOW synchronous_commit")).scalar()  # type: ignore[attr-defined]

        assert await ledger.jobs._database.run(ask) == "on"


async def test_databases_of_one_server_are_locked_one_by_one(server: PostgresServer) -> None:
    one, other = server.new_database(), server.new_database()
    async with opened(one), opened(other):
        with pytest.raises(LockedError, match="in use by transfer, process"):
            async with opened(other):
                pass


async def test_a_lost_connection_is_the_end_since_somebody_else_may_have_taken_over(
    server: PostgresServer,
) -> None:
    url = server.new_database()
    name = url.rpartition("/")[2]
    with pytest.raises(TransferError):
        async with opened(url) as ledger:
            await job_of(ledger)
            await ledger.recorder.object(entry(0))
            await ledger.recorder.flush()
            server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            await ledger.recorder.object(entry(1))
            with pytest.raises(TransferError, match=r"ledger postgresql://127.0.0.1:\d+/database_\d+: the"):
                await ledger.recorder.flush()
            async with opened(url) as successor:  # the lock went with the connection
                await successor.recorder.object(entry(2))
            for _ in range(2):
                with pytest.raises(TransferError, match="connection was lost"):
                    await ledger.objects.page(1, ObjectState.DONE)
    async with opened(url) as ledger:
        assert list(await states_of(ledger, 1, 0)) == [0, 2]
