"""The worker that is started ahead of its work."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from pathlib import Path

import pytest

from transfer.errors import TransferError
from transfer.jobs.copy.pool import MODULE, WorkerPool
from transfer.jobs.copy.work import Batch, PackingOptions, ReadFile
from transfer.jobs.workers import process
from transfer.jobs.workers.process import WorkerProcess, first_worker


@pytest.fixture
def options(tmp_path: Path) -> PackingOptions:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
    return PackingOptions(os.fsencode(tmp_path), 1 << 20, 1 << 20, 1, follow_links=False, xattrs=False)


def batch_of(name: bytes) -> Batch:
    batch = Batch()
    batch.add(b"", ReadFile(name), 1)
    return batch


def pid_of(worker: WorkerProcess | None) -> int:
    assert worker is not None
    return worker._process.pid


def has_ended(pid: int) -> bool:
    """Ended and waited for: nobody has that number any more."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_the_pool_works_with_it_and_starts_no_other_for_one_batch(
    options: PackingOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    with first_worker(MODULE) as ready:
        monkeypatch.setattr("transfer.jobs.copy.pool.WorkerProcess", None)
        with closing(WorkerPool(options, 1, 1, ready)) as pool:
            for name in (b"a", b"b"):
                outcome = await pool.pack(batch_of(name))
                assert [piece.last_path for piece in outcome.pieces] == [name]
        assert has_ended(pid_of(ready))


def test_one_that_nobody_needed_is_gone_when_the_block_is_left() -> None:
    with first_worker(MODULE) as ready:
        pid = pid_of(ready)
        assert not has_ended(pid)
    assert has_ended(pid)


async def test_one_that_died_ahead_of_its_work_is_told(options: PackingOptions) -> None:
    with first_worker(MODULE) as ready:
        os.kill(pid_of(ready), signal.SIGKILL)
        with (
            closing(WorkerPool(options, 1, 1, ready)) as pool,
            pytest.raises(TransferError, match=r"ended unexpectedly \(exit code -9\)"),
        ):
            await pool.pack(batch_of(b"a"))


async def test_where_none_can_be_started_the_first_batch_tells(
    options: PackingOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process.sys, "executable", "/nowhere/python")
    with first_worker(MODULE) as ready:
        assert ready is None
        with (
            closing(WorkerPool(options, 1, 1, ready)) as pool,
            pytest.raises(TransferError, match="no worker process can be started"),
        ):
            await pool.pack(batch_of(b"a"))
