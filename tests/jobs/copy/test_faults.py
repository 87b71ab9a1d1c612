"""Every single write, sync, rename and deletion on the device fails once: nothing committed is ever lost, and
the same command goes on. The packing runs in this process here, so that a thousand copies are quick.
"""

from __future__ import annotations

import errno
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.jobs.copy.copying import (
    CHUNK,
    PROFILE,
    assert_holds,
    copy_here,
    findings,
    merged,
    packs,
    prepared,
    recover,
)
from tests.jobs.copy.faults import FailingDisk, failing_disk, lose_power
from tests.simulators.trees import large_file
from transfer.device.open_pack import Piece
from transfer.errors import DeviceError
from transfer.jobs.copy import side
from transfer.jobs.copy.packing import Packer
from transfer.jobs.copy.work import Batch, PackingOptions
from transfer.jobs.filling.outcome import Outcome
from transfer.jobs.filling.result import FillResult
from transfer.jobs.seal import seal

# Two chunks a pack: few calls show many packs.
SMALL_PACKS = PROFILE.replace('pack_size = "512KiB"', 'pack_size = "160KiB"')


class PoolHere:
    """Packs in the event loop's own thread."""

    def __init__(self, options: PackingOptions, size: int, outcomes: int, ready: None) -> None:
        self._packer = Packer(options)

    async def pack(self, batch: Batch) -> Outcome:
        return self._packer.pack(batch)

    def give_back(self, outcome: Outcome) -> None:
        """Nothing is lent."""

    def close(self) -> None:
        self._packer.close()


@pytest.fixture(autouse=True)
def packing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side, "WorkerPool", PoolHere)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory where that is possible: what a sync means is simulated here, a real one only costs time."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="faults-", dir=memory) as place:
        yield Path(place)


@pytest.fixture
def varied(source: Path) -> Path:
    """Small files, a file over several packs, small files: about five packs."""
    (source / "a").mkdir()
    for number in range(22):
        (source / "a" / f"{number:02}").write_bytes(os.urandom(3000))
    large_file(os.fsencode(source / "large"), 5 * CHUNK + 5, seed=1)
    for number in range(22):
        (source / f"z{number:02}").write_bytes(os.urandom(3000))
    return source


def try_copy(source: Path, device: Path, disk: FailingDisk) -> FillResult | None:
    """Copy; None where the device failed."""
    try:
        return copy_here(source, device)
    except DeviceError:
        assert disk.fired
        return None


def codes(device: Path) -> set[str]:
    return {finding.split(":")[0] for finding in findings(device)}


def each_call(source: Path, place: Path, step: int) -> range:
    """The numbers of the calls that an undisturbed copy makes."""
    device = prepared(place / "undisturbed", profile=SMALL_PACKS)
    with failing_disk() as disk:
        copy_here(source, device)
    assert len(packs(device)) > 3
    assert set(disk.calls) >= {"pwrite", "fsync", "rename", "open", "posix_fallocate"}
    return range(1, len(disk.calls) + 1, step)


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
def test_when_the_nth_call_fails_the_device_stays_valid_and_copying_goes_on(
    tmp_path: Path, varied: Path, error: int, for_good: bool
) -> None:
    for number in each_call(varied, tmp_path, 3 if for_good else 1):
        device = prepared(tmp_path / f"device {number}", profile=SMALL_PACKS)
        with failing_disk(number, error, for_good=for_good) as disk:
            result = try_copy(varied, device, disk)
        assert disk.fired
        found = codes(device)
        assert found <= {"incomplete", "uncommitted"}, (number, disk.calls[number - 1])
        if result is not None and not result.full:
            assert found <= {"uncommitted"}
        resumed = copy_here(varied, device)
        assert not resumed.is_partial
        assert not resumed.full
        assert findings(device) == set(), (number, disk.calls[number - 1])
        if number % 5 == 0:
            assert_holds(device, varied, tmp_path / f"out {number}")


def test_a_device_that_got_full_at_any_call_can_be_sealed(tmp_path: Path, varied: Path) -> None:
    for number in each_call(varied, tmp_path, 3):
        device = prepared(tmp_path / f"device {number}", profile=SMALL_PACKS)
        with failing_disk(number, errno.ENOSPC, for_good=True) as disk:
            try_copy(varied, device, disk)
        seal(os.fspath(device), allow_incomplete=True)
        assert codes(device) <= {"incomplete"}
        code, said = recover(device, tmp_path / f"out {number}")
        assert code == 0 or "in the middle of a file" in said


@pytest.mark.parametrize(
    "keep_names",
    [set(), {"packs"}, {"packs", "segments"}],
    ids=["no names", "names of packs", "all names"],
)
def test_when_power_fails_at_the_nth_call_copying_goes_on(
    tmp_path: Path, varied: Path, keep_names: set[str]
) -> None:
    for number in each_call(varied, tmp_path, 4):
        device = prepared(tmp_path / f"device {number}", profile=SMALL_PACKS)
        with failing_disk(number, errno.EIO, for_good=True) as disk:
            try_copy(varied, device, disk)
        left = tmp_path / f"left {number}"
        lose_power(device, disk, left, keep_names=keep_names)
        assert codes(left) <= {"incomplete", "uncommitted"}, (number, disk.calls[number - 1])
        assert not copy_here(varied, left).is_partial
        assert findings(left) == set()
        if number % 16 == 1:
            assert_holds(left, varied, tmp_path / f"out {number}")


def stopping_at(monkeypatch: pytest.MonkeyPatch, pack: int, changes: Callable[[], object]) -> None:
    """Let the device fail when pack `pack` was committed; then something happens to the source."""
    from transfer.device.writer import DeviceWriter

    commit = DeviceWriter.commit

    def committing(self: DeviceWriter, *arguments: object, **options: object) -> None:
        commit(self, *arguments, **options)  # type: ignore[arg-type]
        if self.sequence == pack:
            changes()
            raise OSError(errno.EIO, "pulled")

    monkeypatch.setattr(DeviceWriter, "commit", committing)


def rewritten(path: Path) -> None:
    large_file(os.fsencode(path), path.stat().st_size, seed=9)


def rewritten_unseen(path: Path) -> None:
    status = path.stat()
    rewritten(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


LATER: dict[str, Callable[[Path], object]] = {
    "same": lambda path: None,
    "rewritten": rewritten,
    "rewritten, with the old time": rewritten_unseen,
    "touched": lambda path: os.utime(path, ns=(7, 7)),
    "longer": lambda path: os.truncate(path, 20 * CHUNK),
    "shorter": lambda path: os.truncate(path, 3 * CHUNK + 1),
    "small": lambda path: os.truncate(path, 10),
    "gone": os.unlink,
    "a folder": lambda path: (os.unlink(path), path.mkdir()),
}


@pytest.mark.parametrize("later", LATER)
def test_resuming_inside_a_large_file_that_is_no_longer_the_same(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, later: str
) -> None:
    large = source / "large"
    (source / "a").write_bytes(b"before")
    (source / "z").write_bytes(b"behind")
    for stop in (1, 2, 3):
        large_file(os.fsencode(large), 9 * CHUNK + 5, seed=1)
        device = prepared(tmp_path / f"device {stop}", profile=SMALL_PACKS)
        with monkeypatch.context() as patch, pytest.raises(DeviceError):
            stopping_at(patch, stop, lambda: LATER[later](large))
            copy_here(source, device)
        result = copy_here(source, device)
        assert result.resumed_after == b"large"
        assert findings(device) == set()
        again = copy_here(source, device)
        assert not again.is_partial
        assert_holds(
            device, source, tmp_path / f"out {stop}", ignore=lambda path: later == "gone" and path == b"large"
        )
        if large.is_dir():
            large.rmdir()


def stopping_behind(monkeypatch: pytest.MonkeyPatch, pieces: int) -> None:
    """Commit when the n-th piece was appended, and let the device fail then."""
    from transfer.device.writer import DeviceWriter

    append, count = DeviceWriter.append, itertools.count(1)

    def appending(self: DeviceWriter, piece: Piece) -> None:
        append(self, piece)
        if next(count) == pieces:
            self.pause()
            raise DeviceError("pulled")

    monkeypatch.setattr(DeviceWriter, "append", appending)


def test_a_file_that_is_given_up_is_resumed_wherever_it_stopped(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of many packs that changed is voided, filled with zeros, begun again: stop at every piece."""
    from transfer.jobs.copy import large

    path = source / "large"
    (source / "a").write_bytes(b"before")
    (source / "z").write_bytes(b"behind")
    read = large._Passage._read_chunk

    def changing_once(self: large._Passage, content: memoryview, offset: int) -> None:
        read(self, content, offset)
        if offset == 3 * CHUNK and not self._is_last:
            os.utime(path, ns=(11, 11))

    for stop in itertools.count(1):
        large_file(os.fsencode(path), 6 * CHUNK + 5, seed=stop)
        device = prepared(tmp_path / f"device {stop}", profile=SMALL_PACKS)
        with monkeypatch.context() as patch:
            patch.setattr(large._Passage, "_read_chunk", changing_once)
            stopping_behind(patch, stop)
            try:
                copy_here(source, device)
            except DeviceError:
                stopped = True
            else:
                stopped = False
        assert not copy_here(source, device).is_partial
        assert_holds(device, source, tmp_path / f"out {stop}")
        if not stopped:
            break
    assert stop > 15


@pytest.mark.parametrize("stop", [1, 2, 3])
@pytest.mark.parametrize("given_up", [False, True])
def test_another_source_after_a_run_that_was_cut_off_inside_a_file(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, stop: int, given_up: bool
) -> None:
    large = source / "large"
    large_file(os.fsencode(large), 9 * CHUNK + 5, seed=1)
    other = tmp_path / "other"
    other.mkdir()
    (other / "b").write_bytes(b"of another source")
    large_file(os.fsencode(other / "large of the other"), 5 * CHUNK, seed=2)
    device = prepared(tmp_path / "device", profile=SMALL_PACKS)
    for _ in range(1 + given_up):
        with monkeypatch.context() as patch, pytest.raises(DeviceError):
            stopping_at(patch, stop + len(packs(device)), lambda: rewritten(large))
            copy_here(source, device)
    result = copy_here(other, device)
    assert result.resumed_after is None
    # Of the file that was cut off the bare tar stream has an empty shell.
    assert_holds(device, other, tmp_path / "out", ignore=lambda path: path == b"large")
    assert "large" not in merged(device)
    assert not copy_here(source, device).is_partial
    assert findings(device) == set()
