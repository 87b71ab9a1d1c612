"""The file: whose it is, what it says when it is not well; a full disk costs nothing that was flushed."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.ledger.making import entry, job_of, opened, states_of
from tests.simulators.disks import tmpfs
from transfer.errors import AccessError, LedgerError, LockedError, TransferError
from transfer.ledger.sqlite import open_sqlite
from transfer.ledger.values import ObjectState


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


async def fill(path: Path, count: int = 1000) -> None:
    async with opened(str(path)) as ledger:
        await job_of(ledger)
        for position in range(count):
            await ledger.recorder.object(entry(position))


async def refusal_of(path: Path, expected: type[TransferError] = TransferError) -> str:
    with pytest.raises(expected) as refusal:
        async with opened(str(path)):
            pass
    assert str(path) in refusal.value.what
    assert refusal.value.remedy
    return str(refusal.value)


async def test_the_file_is_its_owners_alone_and_nothing_else_stays(path: Path) -> None:
    await fill(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(os.listdir(path.parent)) == ["ledger.sqlite", "ledger.sqlite.lock"]


async def test_a_commit_waits_for_the_disk(path: Path) -> None:
    async with open_sqlite(str(path)) as connection:
        values = {}
        for pragma in ("journal_mode", "synchronous", "foreign_keys"):
            values[pragma] = (await connection.exec_driver_sql(f"PRAGMA {pragma}")).scalar()
        assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


@pytest.mark.parametrize("name", ["file:x?mode=memory", ":memory:", "a%20b ü", "q?x=1#y"])
async def test_a_path_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened(name) as ledger:
        await job_of(ledger)
    assert sorted(os.listdir(tmp_path)) == [name, f"{name}.lock"]


@pytest.mark.parametrize(
    "content", [b"no database at all, but rather long" * 100, b"SQLite format 3\0" + b"x" * 5000]
)
async def test_a_file_that_is_no_database_is_refused_and_stays_as_it_was(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "no ledger" in await refusal_of(path)
    assert path.read_bytes() == content


async def test_another_programs_database_is_refused_and_stays_as_it_was(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE objects (name)")
    content = path.read_bytes()
    assert "another program's database" in await refusal_of(path)
    assert path.read_bytes() == content


async def test_a_database_that_another_program_marked_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA application_id = 12345")
    assert "another program's database" in await refusal_of(path)


async def test_an_empty_file_becomes_a_ledger(path: Path) -> None:
    path.touch()
    await fill(path)


async def test_a_newer_ledger_is_refused_and_stays_as_it_was(path: Path) -> None:
    await fill(path)
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("UPDATE ledger_version SET version_num = '0099'")
        newer.commit()
    text = await refusal_of(path)
    assert "version 0099" in text
    assert "newer" in text
    with closing(sqlite3.connect(path)) as still:
        assert still.execute("SELECT version_num FROM ledger_version").fetchall() == [("0099",)]


async def test_damage_at_the_head_is_found_at_once(path: Path) -> None:
    await fill(path)
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 3996)
    assert "it is damaged" in await refusal_of(path)


async def test_damage_further_in_is_an_error_where_it_is_met(path: Path) -> None:
    await fill(path, 5000)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size - size // 2))
    async with opened(str(path)) as ledger:
        with pytest.raises(TransferError, match=rf"ledger {path}: it is damaged .*; put a backup"):
            await ledger.objects.page(1, ObjectState.DONE, limit=5000)


async def test_a_cut_file_is_an_error(path: Path) -> None:
    await fill(path, 5000)
    os.truncate(path, 8192)
    assert "it is damaged" in await refusal_of(path)


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "no" / "ledger"
    with pytest.raises(TransferError, match=f"ledger {path}: .*No such file or directory"):
        async with opened(str(path)):
            pass


async def test_a_folder_in_its_place(path: Path) -> None:
    path.mkdir()
    with pytest.raises(TransferError, match="Is a directory"):
        async with opened(str(path)):
            pass


async def test_another_process_is_named_and_its_death_frees_the_ledger(path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from tests.ledger.making import opened\n"
        "async def hold():\n"
        "    async with opened(sys.argv[1]):\n"
        "        print('open', flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(hold())\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "open\n"
            text = await refusal_of(path, LockedError)
            assert f"in use by transfer, process {other.pid} on " in text
        finally:
            other.kill()
    await fill(path)


async def test_another_program_that_holds_the_file_is_waited_for_not_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(path)
    monkeypatch.setattr("transfer.ledger.sqlite._PRAGMAS", ("busy_timeout = 10",))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "another program is using it" in await refusal_of(path, LockedError)


async def test_a_read_only_disk() -> None:
    with tmpfs(4 << 20) as disk:
        path = Path(disk.path) / "ledger.sqlite"
        await fill(path)
        disk.make_read_only()
        with pytest.raises(TransferError, match="Read-only file system"):
            async with opened(str(path)):
                pass


async def test_a_disk_that_turns_read_only_under_an_open_ledger(path: Path) -> None:
    """As SQLite reports it: tmpfs does not turn read-only while files are open."""
    await fill(path)
    async with opened(str(path)) as ledger:

        async def write(connection: object) -> None:
            await connection.exec_driver_sql("PRAGMA query_only = ON")  # type: ignore[attr-defined]
            await connection.exec_driver_sql("DELETE FROM packs")  # type: ignore[attr-defined]

        with pytest.raises(AccessError, match="cannot be written"):
            await ledger.jobs._database.run(write)


async def test_a_full_disk_is_one_error_and_costs_nothing_that_was_flushed() -> None:
    with tmpfs(2 << 20) as disk:
        path = Path(disk.path) / "ledger.sqlite"
        flushed = 0
        with pytest.raises(TransferError, match=rf"ledger {path}: its disk is full .*; free some space"):
            async with opened(str(path)) as ledger:
                await job_of(ledger)
                for position in range(100_000):
                    await ledger.recorder.object(entry(position))
                    if position % 500 == 499:
                        await ledger.recorder.flush()
                        flushed = position + 1
        assert flushed >= 500
        subprocess.run(["mount", "-o", "remount,size=8m", disk.path], check=True)
        async with opened(str(path)) as ledger:
            states = await states_of(ledger, 1, 0)
            assert list(states) == list(range(len(states)))
            assert len(states) >= flushed
            await ledger.recorder.object(entry(100_000))


@pytest.mark.parametrize("size_kib", [4, 8, 16, 32, 48, 64])
async def test_a_full_disk_from_the_start(size_kib: int) -> None:
    """Wherever the room ends: in the lock, the database, its log, or the log's index."""
    with tmpfs(size_kib << 10) as disk:
        path = Path(disk.path) / "ledger.sqlite"
        assert "its disk is full" in await refusal_of(path)
        # Nothing half made is left: with room it opens.
        subprocess.run(["mount", "-o", "remount,size=8m", disk.path], check=True)
        await fill(path)


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "it cannot be opened" in await refusal_of(tmp_path / "nowhere" / "ledger", LedgerError)
