"""An import whose ledger fails, through the command line: one clear error, its exit code, nothing lost.

What failed for its ledger is given again as it was, and ends complete, without sending what was sent.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.jobs.buckets import Bucket
from tests.jobs.shipment import Ended, files_of, import_to, make_device, write_profile
from tests.simulators.disks import tmpfs
from transfer.device.clock import timestamp
from transfer.ledger.ledger import open_ledger

pytestmark = pytest.mark.usefixtures("no_loose_ends")
FILES = 3000
HOLDING = """
import asyncio, sys
from transfer.ledger.ledger import open_ledger

async def hold():
    async with open_ledger(sys.argv[1], lambda: "2026-01-01T00:00:00Z"):
        print("held", flush=True)
        sys.stdin.read()

asyncio.run(hold())
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source")
    for number in range(FILES):
        file = root / f"folder {number // 500}" / f"{'a long name ' * 10}{number:05}"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"%d" % number)
    return root


@pytest.fixture(scope="module")
def device(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("device")
    return make_device(place / "device", source, write_profile(place / "small.toml"))


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device with one file."""
    place = tmp_path_factory.mktemp("few")
    (place / "source").mkdir()
    (place / "source/file").write_bytes(b"content")
    return make_device(place / "device", place / "source", write_profile(place / "small.toml"))


def refused(ended: Ended, code: int) -> str:
    """The error; beside it there is a remedy and nothing else."""
    assert ended.code == code, ended
    assert "Traceback" not in ended.stderr
    first, remedy = ended.stderr.splitlines()
    assert first.startswith("error: ")
    assert remedy.startswith("  ")
    return first


def complete(bucket: Bucket, device: Path, report: Path, ledger: Path) -> None:
    """The command, given again, does the rest."""
    again = import_to(bucket, device, report, "--ledger", os.fspath(ledger))
    assert (again.code, again.failed) == (0, {}), again.stderr
    assert again.succeeded.keys() == bucket.listed()
    with closing(sqlite3.connect(ledger)) as opened:
        assert opened.execute("SELECT phase FROM jobs").fetchall() == [("complete",)]
        rows = {key for (key,) in opened.execute("SELECT key FROM objects WHERE state = 'done'")}
    assert rows == bucket.listed()


def test_the_disk_of_the_ledger_fills_up(bucket: Bucket, device: Path, source: Path, tmp_path: Path) -> None:
    with tmpfs(320 << 10) as disk:
        ledger = Path(disk.path, "ledger")
        ended = import_to(bucket, device, tmp_path / "report", "--ledger", os.fspath(ledger))
        assert f"ledger {ledger}: its disk is full" in refused(ended, 1)
        assert ended.report is not None
        assert ended.report["state"] == "failed"
        assert "its disk is full" in ended.report["error"]
        assert ended.succeeded.keys() <= bucket.listed() < files_of(source).keys()
        subprocess.run(["mount", "-o", "remount,size=32m", disk.path], check=True)
        complete(bucket, device, tmp_path / "report", ledger)
    assert {key: bucket.read(key) for key in sorted(bucket.listed())[::97]}.items() <= files_of(
        source
    ).items()
    assert bucket.listed() == files_of(source).keys()
    assert bucket.uploads() == []


def test_another_process_has_it(bucket: Bucket, few: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, ledger], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        ended = import_to(bucket, few, None, "--ledger", os.fspath(ledger))
        assert f"ledger {ledger} is in use by transfer, process {holder.pid} on " in refused(ended, 11)
        assert bucket.listed() == set()
        holder.communicate("")
    complete(bucket, few, tmp_path / "report", ledger)


def read_only(ledger: Path) -> Callable[[], None]:
    subprocess.run(["mount", "-o", "remount,ro", ledger.parent], check=True)
    return lambda: subprocess.run(["mount", "-o", "remount,rw", ledger.parent], check=True)  # type: ignore[return-value]


def newer(ledger: Path) -> Callable[[], None]:
    return _told(ledger, "9999")


def _told(ledger: Path, version: str) -> Callable[[], None]:
    with closing(sqlite3.connect(ledger)) as opened, opened:
        (before,) = opened.execute("SELECT version_num FROM ledger_version").fetchone()
        opened.execute("UPDATE ledger_version SET version_num = ?", (version,))
    return lambda: _told(ledger, before) and None  # type: ignore[return-value, func-returns-value]


def no_database(ledger: Path) -> Callable[[], None]:
    content = ledger.read_bytes()
    ledger.write_bytes(b"this is a letter, and no ledger" * 200)
    return lambda: ledger.write_bytes(content) and None  # type: ignore[return-value, func-returns-value]


def another_programs(ledger: Path) -> Callable[[], None]:
    content = ledger.read_bytes()
    ledger.unlink()
    with closing(sqlite3.connect(ledger)) as opened, opened:
        opened.execute("CREATE TABLE recipes (name TEXT)")
    return lambda: ledger.write_bytes(content) and None  # type: ignore[return-value, func-returns-value]


def a_folder(ledger: Path) -> Callable[[], None]:
    ledger.rename(ledger.with_name("aside"))
    ledger.mkdir()

    def mend() -> None:
        ledger.rmdir()
        ledger.with_name("aside").rename(ledger)

    return mend


@pytest.mark.parametrize(
    ("harm", "code", "says"),
    [
        (read_only, 12, "ledger {}: "),
        (newer, 1, "ledger {} is of version 9999, and this program knows none after"),
        (no_database, 1, "ledger {}: it is no ledger, or damaged"),
        (another_programs, 1, "{} is another program's database"),
        (a_folder, 1, "ledger {}: "),
    ],
)
def test_a_ledger_that_cannot_be_used(
    bucket: Bucket,
    few: Path,
    tmp_path: Path,
    harm: Callable[[Path], Callable[[], None]],
    code: int,
    says: str,
) -> None:
    """Nothing is sent and nothing is changed; mended, the ledger knows what it knew."""
    with tmpfs(8 << 20) as disk:
        ledger = Path(disk.path, "ledger")

        async def make() -> None:
            async with open_ledger(os.fspath(ledger), timestamp):
                pass

        asyncio.run(make())
        mend = harm(ledger)
        ended = import_to(bucket, few, None, "--ledger", os.fspath(ledger))
        assert says.format(ledger) in refused(ended, code)
        assert bucket.listed() == set()
        mend()
        complete(bucket, few, tmp_path / "report", ledger)


def test_a_ledger_where_no_folder_is(bucket: Bucket, few: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "nowhere" / "ledger"
    ended = import_to(bucket, few, None, "--ledger", os.fspath(ledger))
    assert f"ledger {ledger}: " in refused(ended, 1)
    assert bucket.listed() == set()
    ledger.parent.mkdir()
    complete(bucket, few, tmp_path / "report", ledger)


def test_a_ledger_that_was_lost_costs_no_object(
    bucket: Bucket, device: Path, source: Path, tmp_path: Path
) -> None:
    """Without it, the bucket's own checksums tell what is there."""
    assert import_to(bucket, device, None, "--ledger", os.fspath(tmp_path / "one")).code == 0
    again = import_to(bucket, device, tmp_path / "report", "--ledger", os.fspath(tmp_path / "two"), "--json")
    assert (again.code, again.document["already"]) == (0, FILES)
    assert again.succeeded.keys() == files_of(source).keys()
