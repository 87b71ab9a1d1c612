"""Frames that come back in shared memory are the same as those that come through the pipe, and stay so for as
long as they are needed; nothing of that memory is left behind.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.jobs.copy.copying import assert_holds, copy_here
from transfer.errors import TransferError
from transfer.jobs.copy.packing import Packer
from transfer.jobs.copy.pool import WorkerPool
from transfer.jobs.copy.work import Batch, PackingOptions, ReadFile
from transfer.jobs.filling.outcome import Outcome
from transfer.jobs.workers.slots import NO_SLOT, Slots, WorkerSlots

CHUNK = 64 << 10
NAMES = (b"a", b"b", b"c")
SLOT = 100

needs_shared_memory = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs memfd_create(2)")


@pytest.fixture
def options(tmp_path: Path) -> PackingOptions:
    for name in NAMES:
        (tmp_path / os.fsdecode(name)).write_bytes(os.urandom(CHUNK // 2))
    return PackingOptions(os.fsencode(tmp_path), CHUNK, CHUNK, 1, follow_links=False, xattrs=False)


def batch_of(*names: bytes) -> Batch:
    batch = Batch()
    for name in names:
        batch.add(b"", ReadFile(name), 0)
    return batch


def frames_of(outcome: Outcome) -> list[bytes]:
    return [bytes(piece.stored) for piece in outcome.pieces]


def packed_here(options: PackingOptions, batch: Batch) -> list[bytes]:
    """The frames as they are made, without another process."""
    with closing(Packer(options)) as packer:
        return frames_of(packer.pack(batch))


def shared_memory() -> set[str]:
    """The inodes of all that this process has open or mapped of it."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the folder that is being listed
            if "memfd:transfer" in os.readlink(f"/proc/self/fd/{name}"):
                found.add(str(os.fstat(int(name)).st_ino))
    maps = Path("/proc/self/maps").read_text().splitlines()
    return found | {line.split()[4] for line in maps if "memfd:transfer" in line}


@contextmanager
def pool_of(options: PackingOptions, outcomes: int) -> Iterator[WorkerPool]:
    with closing(WorkerPool(options, 1, outcomes)) as pool:
        yield pool


@needs_shared_memory
async def test_frames_stay_as_they_were_made_until_they_are_given_back(options: PackingOptions) -> None:
    with pool_of(options, outcomes=2) as pool:
        held = [await pool.pack(batch_of(name)) for name in NAMES]
        assert [outcome.slot != NO_SLOT for outcome in held] == [True, True, False]
        assert held[0].slot != held[1].slot
        for outcome, name in zip(held, NAMES, strict=True):
            assert frames_of(outcome) == packed_here(options, batch_of(name))
        pool.give_back(held[1])
        again = await pool.pack(batch_of(b"c"))
        assert again.slot == held[1].slot
        assert frames_of(again) == frames_of(held[2])
        assert frames_of(held[0]) == packed_here(options, batch_of(b"a"))


async def test_several_frames_of_one_batch_lie_in_one_slot(options: PackingOptions) -> None:
    with pool_of(options, outcomes=1) as pool:
        outcome = await pool.pack(batch_of(*NAMES))
        assert len(outcome.pieces) == 3  # headers and halves of a chunk: two do not go into one frame
        assert frames_of(outcome) == packed_here(options, batch_of(*NAMES))


async def test_what_does_not_go_into_a_slot_comes_through_the_pipe(
    options: PackingOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transfer.jobs.copy.pool.FRAME_SLACK_BYTES", 1 - CHUNK)
    with pool_of(options, outcomes=1) as pool:
        for name in NAMES:
            outcome = await pool.pack(batch_of(name))
            assert frames_of(outcome) == packed_here(options, batch_of(name))
            pool.give_back(outcome)


@needs_shared_memory
def test_a_slot_is_used_again_once_its_frames_are_on_the_device(
    tmp_path: Path, source: Path, device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(600):  # 20 a batch, and 8 slots
        (source / f"{number:03}").write_bytes(os.urandom(3000))
    pack, slots = WorkerPool.pack, []

    async def noting(self: WorkerPool, batch: Batch) -> Outcome:
        outcome = await pack(self, batch)
        slots.append(outcome.slot)
        return outcome

    monkeypatch.setattr(WorkerPool, "pack", noting)
    assert copy_here(source, device).files == 600
    assert len(slots) > 20
    assert NO_SLOT not in slots
    assert_holds(device, source, tmp_path / "out")


@needs_shared_memory
async def test_what_a_worker_made_can_be_read_when_it_is_dead(options: PackingOptions) -> None:
    with pool_of(options, outcomes=3) as pool:
        outcome = await pool.pack(batch_of(b"a"))
        os.kill(pool._all[0]._process.pid, signal.SIGKILL)
        with pytest.raises(TransferError, match=r"ended unexpectedly \(exit code -9\)"):
            await pool.pack(batch_of(b"b"))
        assert outcome.slot != NO_SLOT
        assert frames_of(outcome) == packed_here(options, batch_of(b"a"))


@needs_shared_memory
async def test_nothing_is_left_of_it_once_the_frames_are_gone(options: PackingOptions) -> None:
    before = shared_memory()  # a failure that was told in an earlier test may hold some
    with pool_of(options, outcomes=3) as pool:
        outcome = await pool.pack(batch_of(b"a"))
        (mine,) = shared_memory() - before
    await asyncio.sleep(0)  # the event loop lets go of what it handed over
    assert frames_of(outcome) == packed_here(options, batch_of(b"a"))
    assert mine in shared_memory()
    del outcome
    assert mine not in shared_memory()


def refused(*arguments: object) -> int:
    raise OSError(24, "Too many open files")


def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)


def not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "memfd_create", refused, raising=False)


def not_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transfer.jobs.workers.slots.mmap.mmap", refused)


@pytest.mark.parametrize("breaking", [missing, not_opened, not_mapped])
def test_without_shared_memory_all_is_copied_through_the_pipes(
    tmp_path: Path,
    source: Path,
    device: Path,
    monkeypatch: pytest.MonkeyPatch,
    breaking: Callable[[pytest.MonkeyPatch], None],
) -> None:
    for number in range(60):
        (source / f"{number:02}").write_bytes(os.urandom(3000))
    breaking(monkeypatch)
    assert copy_here(source, device).files == 60
    monkeypatch.undo()
    assert_holds(device, source, tmp_path / "out")


@needs_shared_memory
@given(st.data())
def test_slots_hold_what_was_put_last_and_leave_each_other_alone(data: st.DataObject) -> None:
    with closing(Slots()) as agent:
        agent.lay_out(3, SLOT)
        worker = WorkerSlots(agent.descriptor, agent.slot_bytes)
        held: dict[int, list[bytes]] = {}
        for _ in range(data.draw(st.integers(1, 12))):
            if len(held) == 3 or (held and data.draw(st.booleans())):
                slot = data.draw(st.sampled_from(sorted(held)))
                del held[slot]
                agent.give_back(slot)
                continue
            contents = data.draw(st.lists(st.binary(max_size=SLOT // 2), max_size=4))
            slot = agent.take()
            assert slot not in held
            fits = sum(map(len, contents)) <= SLOT
            assert worker.put(slot, list(map(memoryview, contents))) is fits
            held[slot] = contents if fits else []
            for other, expected in held.items():
                assert list(map(bytes, agent.contents(other, map(len, expected)))) == expected


def test_nobody_writes_where_there_is_no_slot() -> None:
    with closing(Slots()) as agent:
        assert agent.take() == NO_SLOT
        assert not WorkerSlots(agent.descriptor, agent.slot_bytes).put(NO_SLOT, [memoryview(b"x")])
