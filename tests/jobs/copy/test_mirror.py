"""Twins: devices that get the same packs from one reading of the source."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.jobs.copy.copying import (
    CHUNK,
    KIB,
    MIB,
    Done,
    assert_holds,
    copy,
    findings,
    packs,
    run,
    transfer_command,
)
from tests.jobs.copy.test_span import assert_set_holds, device_of, fill
from tests.simulators.kills import files_exist, run_and_kill
from transfer.device.writer import DeviceWriter


@pytest.fixture
def filled(source: Path) -> Path:
    fill(source)
    return source


def twins(place: Path, ordinal: int = 1, capacity: int | None = None) -> list[Path]:
    return [device_of(place, ordinal, capacity=capacity, name=f"{ordinal}{twin}") for twin in "ab"]


def mirror(source: Path, *devices: Path) -> Done:
    return run("copy", source, *devices, "-q", "--workers", "1", "--copies", "2")


def contents(device: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (device / "packs").iterdir()}


def test_twins_get_the_same_packs(tmp_path: Path, filled: Path) -> None:
    first, second = twins(tmp_path)
    done = mirror(filled, first, second)
    assert done.code == 0, done.stderr
    assert contents(first) == contents(second)
    for number, device in enumerate((first, second)):
        assert_holds(device, filled, tmp_path / f"out {number}")
        assert run("seal", device).code == 0
    (filled / "new").write_bytes(b"new")
    assert run("seal", first, "--reopen").code == 0
    assert run("seal", second, "--reopen").code == 0
    assert mirror(filled, first, second).document["files"] == 1


def test_pairs_span(tmp_path: Path, filled: Path) -> None:
    pairs = [twins(tmp_path, ordinal, 2 * MIB) for ordinal in (1, 2, 3, 4)]
    done = mirror(filled, *(device for pair in pairs for device in pair))
    assert done.code == 0, done.stderr
    used = pairs[: len(done.document["devices"])]
    assert len(used) > 2
    for first, second in used:
        assert contents(first) == contents(second)
    assert_set_holds(filled, [pair[1] for pair in used], tmp_path)


def test_the_smaller_twin_decides(tmp_path: Path, filled: Path) -> None:
    pair = [device_of(tmp_path, 1, capacity=None, name="a"), device_of(tmp_path, 1, name="b")]
    assert mirror(filled, *pair).code == 13
    assert contents(pair[0]) == contents(pair[1])
    for device in pair:
        assert findings(device) == set()


@pytest.mark.parametrize("nth", [1, 2, 4])
def test_a_twin_that_fails_leaves_both_where_copying_goes_on(
    tmp_path: Path, filled: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    pair = twins(tmp_path)
    commit = DeviceWriter.commit

    def failing(self: DeviceWriter, *, run_complete: bool = False, continues: bool = False) -> None:
        if self.device.root == str(pair[1]) and self.sequence == nth:
            raise OSError(errno.EIO, "pulled")
        commit(self, run_complete=run_complete, continues=continues)

    with monkeypatch.context() as patch:
        patch.setattr(DeviceWriter, "commit", failing)
        done = mirror(filled, *pair)
        assert (done.code, str(pair[1]) in done.stderr) == (10, True)
    assert len(packs(pair[0])) - nth in (0, 1)
    assert mirror(filled, *pair).code == 0
    assert contents(pair[0]) == contents(pair[1])
    assert_holds(pair[1], filled, tmp_path / "out")


def test_a_twin_whose_disk_is_full_in_a_commit(
    tmp_path: Path, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = twins(tmp_path)
    commit, fails = DeviceWriter.commit, [True]

    def failing(self: DeviceWriter, *, run_complete: bool = False, continues: bool = False) -> None:
        if self.device.root == str(pair[1]) and self.sequence == 2 and fails:
            fails.pop()
            raise OSError(errno.ENOSPC, "full")
        commit(self, run_complete=run_complete, continues=continues)

    with monkeypatch.context() as patch:
        patch.setattr(DeviceWriter, "commit", failing)
        assert mirror(filled, *pair).code == 13
    assert contents(pair[0]) == contents(pair[1])
    for device in pair:
        assert findings(device) == set()
    assert mirror(filled, *pair).code == 0
    assert_holds(pair[1], filled, tmp_path / "out")


def test_killed_again_and_again(tmp_path: Path, filled: Path) -> None:
    pair = twins(tmp_path)
    command = transfer_command(
        "copy", filled, *pair, "--copies", "2", "--workers", "1", "-q", "--bwlimit", "20M"
    )
    for _ in range(20):
        have = sum(len(list((device / "segments").iterdir())) for device in pair)
        outcome = run_and_kill(command, files_exist(f"{tmp_path}/1?/segments/*.zst", have + 11))
        if not outcome.killed:
            break
        counts = [len(list((device / "segments").glob("*.zst"))) for device in pair]
        assert abs(counts[0] - counts[1]) <= 1
    assert outcome.returncode == 0
    assert contents(pair[0]) == contents(pair[1])
    assert_holds(pair[0], filled, tmp_path / "out")


def test_devices_that_are_no_twins_are_refused(tmp_path: Path, filled: Path) -> None:
    first, second = twins(tmp_path)
    assert copy(filled, first).code == 0
    done = mirror(filled, first, second)
    assert done.code == 10
    assert "are no twins" in done.stderr
    assert "by itself" in done.stderr


@pytest.mark.parametrize("nth", [0, 1])
def test_killed_between_the_commits_of_the_twins(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    """One twin has a pack that the other has not, be it the only one: it is taken back."""
    (source / "a").write_bytes(os.urandom(KIB))
    pair = twins(tmp_path)
    commit = DeviceWriter.commit

    def failing(self: DeviceWriter, *, run_complete: bool = False, continues: bool = False) -> None:
        if self.device.root == str(pair[nth]):
            raise OSError(errno.EIO, "pulled")
        commit(self, run_complete=run_complete, continues=continues)

    with monkeypatch.context() as patch:
        patch.setattr(DeviceWriter, "commit", failing)
        assert mirror(source, *pair).code == 10
    assert [len(list((device / "segments").iterdir())) for device in pair] == [nth, 1 - nth]
    assert mirror(source, *pair).code == 0
    assert contents(pair[0]) == contents(pair[1])
    assert_holds(pair[nth], source, tmp_path / "out")


def test_numbers_and_names_must_fit_together(tmp_path: Path, source: Path) -> None:
    first, second = twins(tmp_path)
    third = device_of(tmp_path, 2)
    (source / "a").write_bytes(os.urandom(CHUNK + KIB))
    for devices, options, said in [
        ((first, second), (), "--copies 2"),
        ((first, third), ("--copies", "2"), "wants 2 devices with ordinal 1"),
        ((first, first), (), "the same device"),
    ]:
        done = run("copy", source, *devices, "-q", *options)
        assert (done.code, said in done.stderr) == (2, True), done.stderr
