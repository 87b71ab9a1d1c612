"""How a restore ends before its end: killed, interrupted, no room, nothing may be written."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.golden.build import Run, small
from tests.jobs.copy.copying import CHUNK, copy, prepared, run, transfer_command, unlike
from tests.jobs.restore.restoring import failures, made_device, restore, symlink
from tests.simulators.disks import tmpfs, vfat_image
from tests.simulators.kills import RENAME, files_exist, killed_at
from tests.simulators.trees import large_file, small_files

MIB = 1 << 20


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("source")
    small_files(os.fsencode(place), 120, seed=3)
    large_file(os.fsencode(place / "large"), 40 * CHUNK + 5, seed=4)
    os.link(place / "large", place / "one more name")
    return place


@pytest.fixture(scope="module")
def device(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = prepared(tmp_path_factory.mktemp("device") / "device")
    assert copy(source, place).code == 0
    assert run("seal", place).code == 0
    return place


def command(device: Path, target: Path) -> list[str]:
    return transfer_command("restore", device, target, "-q", "--workers", "1")


@pytest.mark.parametrize(
    ("calls", "nth"), [(RENAME, 1), (RENAME, 60), (("pwrite64",), 100), (("pwrite64",), 130)]
)
def test_killed_and_started_again(
    source: Path, device: Path, tmp_path: Path, calls: tuple[str, ...], nth: int
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    ended = subprocess.run(killed_at(command(device, target), calls, nth), check=False)
    assert ended.returncode == -signal.SIGKILL
    assert list(target.rglob(".transfer-restore-*.partial"))
    done = restore(device, target)
    assert (done.code, done.document["failed"]) == (0, 0)
    assert unlike(source, target) == []


def test_an_interrupt_leaves_nothing_unfinished(source: Path, device: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    seen = files_exist(f"{target}/**/*", 5)
    with subprocess.Popen(command(device, target), stderr=subprocess.PIPE) as process:
        while process.poll() is None and not seen(b""):
            pass
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert b"same command" in said
    assert list(target.rglob(".transfer-restore-*.partial")) == []
    assert restore(device, target).code == 0
    assert unlike(source, target) == []


def test_no_room_is_told_and_nothing_is_left_aside(device: Path, tmp_path: Path) -> None:
    with tmpfs(2 * MIB) as disk:
        done = restore(device, Path(disk.path))
        assert done.code == 13
        assert "has no room left" in done.stderr
        assert list(Path(disk.path).rglob(".transfer-restore-*")) == []


def test_a_directory_that_is_read_only(device: Path) -> None:
    with tmpfs(2 * MIB) as disk:
        disk.make_read_only()
        done = restore(device, Path(disk.path))
        assert done.code == 10
        assert "mounted read-only" in done.stderr


def test_what_the_file_system_cannot_hold_is_told_and_costs_nothing_else(tmp_path: Path) -> None:
    def fill(run: Run) -> None:
        run.batch(small(b"A", b"upper"), small(b"a", b"lower"), small(b"b:c", b""), symlink(b"l", b"x"))
        run.batch(small(b"z", b"z"))

    source = made_device(tmp_path / "device", fill)
    with vfat_image(16 * MIB) as disk:
        target = Path(disk.path)
        done = restore(source, target)
        assert (done.code, set(failures(done))) == (3, {"a", "b:c", "l"})
        assert "another file has its path already" in failures(done)["a"]
        assert ((target / "A").read_bytes(), (target / "z").read_bytes()) == (b"upper", b"z")
        assert list(target.glob(".transfer-restore-*")) == []


def test_a_directory_that_cannot_be_one(device: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for place in (tmp_path / "missing", tmp_path / "file", device, device / "packs"):
        done = restore(device, place)
        assert done.code == 2
        assert str(place) in done.stderr


def test_two_restores_do_not_share_a_directory(device: Path, tmp_path: Path) -> None:
    from transfer.jobs.restore.job import opened_directory

    with opened_directory(os.fspath(tmp_path), os.fspath(device)):
        done = restore(device, tmp_path)
    assert done.code == 11
    assert "another restore works in" in done.stderr
