"""How a restore ends before its end: killed, interrupted, no room, nothing may be written."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.golden.build import Run, small
from tests.jobs.copy.copying import CHUNK, copy, prepared, run, transfer_command, unlike
from tests.jobs.restore.restoring import failures, made_device, restore, symlink, tree_of
from tests.simulators.disks import tmpfs, vfat_image
from tests.simulators.kills import RENAME, files_exist, killed_at, run_and_kill
from tests.simulators.trees import large_file, small_files
from transfer.jobs.workers.process import WorkerProcess

MIB = 1 << 20
PWRITEV = ("pwritev", "pwritev2")
CROWD = 2400


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


@pytest.mark.parametrize(("calls", "nth"), [(RENAME, 1), (RENAME, 60), (PWRITEV, 5), (PWRITEV, 35)])
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


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device with so many files that worker processes write them."""

    def fill(run: Run) -> None:
        for folder in range(CROWD // 100):
            names = [b"%02d/%03d" % (folder, name) for name in range(100)]
            run.batch(*(small(name, name * 300) for name in names))

    return made_device(tmp_path_factory.mktemp("crowd") / "device", fill)


def is_whole(target: Path, path: str) -> bool:
    return (target / path).read_bytes() == path.encode() * 300


@pytest.fixture
def without_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process restores a thread writes: to start others takes longer than that."""
    monkeypatch.setattr("transfer.jobs.restore.work._FEW_ENTRIES", CROWD)


def children_of(process: subprocess.Popen[bytes]) -> list[int]:
    of_threads = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [int(child) for path in of_threads for child in path.read_text().split()]


@pytest.mark.usefixtures("without_processes")
def test_killed_while_processes_write_and_started_again_at_once(crowd: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    probe = target / ".transfer-restore-0123456789abcdef.partial"  # of one that was killed still earlier
    probe.mkdir(parents=True)
    (probe / "TRANSFER-A").write_bytes(b"")
    line = transfer_command("restore", crowd, target, "-q", "--workers", "2")
    ended = run_and_kill(line, files_exist(f"{target}/[0-9]*/*", 600))
    assert ended.killed
    done = restore(crowd, target)  # the workers of the one that was killed may still be at it
    assert (done.code, done.document["entries"] + done.document["already"]) == (0, CROWD)
    paths = [path for path in tree_of(target) if "/" in path]
    assert len(paths) == CROWD
    assert all(is_whole(target, path) for path in paths)
    assert list(target.rglob(".transfer-restore-*")) == []


@pytest.mark.usefixtures("without_processes")
def test_a_worker_that_is_killed_ends_the_restore_and_the_same_command_goes_on(
    crowd: Path, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    line = transfer_command("restore", crowd, target, "-q", "--workers", "2")
    with subprocess.Popen(line, stderr=subprocess.PIPE) as process:
        seen = files_exist(f"{target}/[0-9]*/*", 1)
        while process.poll() is None and not seen(b""):
            pass
        os.kill(children_of(process)[0], signal.SIGKILL)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 1, said
    assert b"a worker process ended unexpectedly (exit code -9)" in said
    assert all(is_whole(target, path) for path in tree_of(target) if path.count("/") == 1 and "." not in path)
    assert restore(crowd, target).code == 0
    assert len([path for path in tree_of(target) if "/" in path]) == CROWD
    assert list(target.rglob(".transfer-restore-*")) == []


def test_workers_of_a_bag_hold_the_lock_of_its_directory(
    device: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever makes the bag may be gone while they still write to its payload."""
    held: list[set[str]] = []

    class Watched(WorkerProcess):
        def ask(self, message: bytes) -> bytearray | None:
            place = f"/proc/{self._process.pid}/fd"
            held.append({os.readlink(f"{place}/{number}") for number in os.listdir(place)})
            return super().ask(message)

    monkeypatch.setattr("transfer.jobs.restore.work._FEW_ENTRIES", 0)
    monkeypatch.setattr("transfer.jobs.restore.pool.WorkerProcess", Watched)
    assert restore(device, tmp_path, "--bag", "--exclude", "/large").code == 0
    assert held
    assert all({str(tmp_path), str(tmp_path / "data")} <= files for files in held)


def test_no_room_while_processes_write(crowd: Path) -> None:
    with tmpfs(3 * MIB) as disk:
        done = restore(crowd, Path(disk.path))
        assert done.code == 13
        assert list(Path(disk.path).rglob(".transfer-restore-*")) == []


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


def test_names_that_the_file_system_cannot_hold_become_others_and_are_listed(tmp_path: Path) -> None:
    def fill(run: Run) -> None:
        run.batch(small(b"A", b"upper"), small(b"a", b"lower"), small(b"b:c", b""), symlink(b"l", b"x"))
        run.batch(small(b"z", b"z"))

    source = made_device(tmp_path / "device", fill)
    with vfat_image(16 * MIB) as disk:
        target = Path(disk.path)
        done = restore(source, target)
        assert (done.code, set(failures(done))) == (3, {"l"}), failures(done)
        names = {path.name for path in target.iterdir()}
        assert names == {"A", "a%~1", "b%3Ac", "z", ".transfer-names.jsonl"}
        assert [(target / name).read_bytes() for name in ("A", "a%~1", "z")] == [b"upper", b"lower", b"z"]
        assert (target / ".transfer-names.jsonl").read_text().splitlines()[1:] == [
            '{"path":"a%~1","name":"a"}',
            '{"path":"b%3Ac","name":"b:c"}',
        ]


def test_where_no_hard_links_can_be_made_they_come_as_files(source: Path, device: Path) -> None:
    with vfat_image(16 * MIB) as disk:
        target = Path(disk.path)
        done = restore(device, target, "--include", "/large", "--include", "/one more name")
        assert failures(done) == {}
        assert {path.name for path in target.iterdir()} == {"large", "one more name"}
        assert (target / "one more name").read_bytes() == (source / "large").read_bytes()
        assert done.document["bytes"] == 2 * (source / "large").stat().st_size


def test_a_directory_that_cannot_be_one(device: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for place in (tmp_path / "missing", tmp_path / "file", device, device / "packs"):
        done = restore(device, place)
        assert done.code == 2
        assert str(place) in done.stderr


def test_two_restores_do_not_share_a_directory(
    device: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transfer.jobs.restore.target.LOCK_TIMEOUT_S", 0.1)
    from transfer.jobs.restore.target import opened_directory

    with opened_directory(os.fspath(tmp_path), [os.fspath(device)]):
        done = restore(device, tmp_path)
    assert done.code == 11
    assert "another restore works in" in done.stderr
