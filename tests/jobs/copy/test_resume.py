"""A copy that was killed or interrupted, as a process: the same command goes on from the last commit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.jobs.copy.copying import (
    MIB,
    assert_holds,
    copy,
    findings,
    packs,
    run,
    transfer_command,
)
from tests.simulators.disks import ext4_image
from tests.simulators.kills import bytes_exist, files_exist, run_and_kill
from tests.simulators.trees import large_file, small_files
from tests.tools import require_tool

TIMEOUT_S = 30


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.002)


@contextmanager
def copying(
    source: Path, device: Path, *options: str, packs_first: int = 1
) -> Iterator[subprocess.Popen[bytes]]:
    """A slow copy that has committed some packs and is still at work."""
    command = transfer_command(
        "copy", source, device, "--workers", "2", "--bwlimit", "3M", "--json", *options
    )
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    before = len(list((device / "segments").glob("*.zst")))
    try:
        wait_until(
            lambda: len(list((device / "segments").glob("*.zst"))) >= before + packs_first, "packs committed"
        )
        yield process
    finally:
        process.kill()
        process.communicate()


def children(pid: int) -> list[int]:
    """Processes that a process started."""
    text = "".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    return [int(word) for word in text.split()]


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.fixture
def many(source: Path) -> Path:
    """Sixty folders of small files, with a file over many packs in their midst."""
    small_files(os.fsencode(source), 1200, seed=1)
    for number in range(6):
        place = source / f"folder-{number:05d}"
        for part in range(10):
            (place / f"sub-{part}").mkdir()
            (place / f"sub-{part}" / "file").write_bytes(os.urandom(5000))
    large_file(os.fsencode(source / "folder-00003-large"), 3 * MIB + 77, seed=2)
    return source


def test_killed_at_random_moments_again_and_again(tmp_path: Path, many: Path, device: Path) -> None:
    dice = random.Random(0)
    command = transfer_command("copy", many, device, "--workers", "2", "-q", "--json", "--bwlimit", "40M")
    for _ in range(60):
        have = sum(path.stat().st_size for path in (device / "packs").iterdir())
        event = dice.choice(
            [
                bytes_exist(f"{device}/packs/*", have + dice.randrange(4 * MIB)),
                files_exist(f"{device}/packs/*.zst", len(packs(device)) + dice.randrange(1, 8)),
                files_exist(f"{device}/segments/*", len(packs(device)) + dice.randrange(1, 8)),
                files_exist(f"{device}/packs/*.partial", 1),
            ]
        )
        outcome = run_and_kill(command, event)
        if not outcome.killed:
            break
        assert {finding.split(":")[0] for finding in findings(device)} <= {"incomplete", "uncommitted"}
    assert outcome.returncode == 0
    assert_holds(device, many, tmp_path / "out")


def test_killed_before_anything_was_committed(tmp_path: Path, many: Path, device: Path) -> None:
    command = transfer_command("copy", many, device, "-q", "--bwlimit", "1M")
    assert run_and_kill(command, bytes_exist(f"{device}/packs/*.partial", 1)).killed
    assert packs(device) == ["00000000.tar.zst.partial"]
    done = copy(many, device)
    assert (done.code, done.document["deleted"]) == (0, ["00000000.tar.zst.partial"])
    assert_holds(device, many, tmp_path / "out")


def test_no_process_outlives_a_killed_agent(many: Path, device: Path) -> None:
    with copying(many, device) as process:
        workers = children(process.pid)
        assert len(workers) == 2
        assert all(map(is_alive, workers))
        process.kill()
        wait_until(lambda: not any(map(is_alive, workers)), "the workers end")


def test_resuming_opens_no_folder_before_the_cursor(tmp_path: Path, many: Path, device: Path) -> None:
    with copying(many, device, packs_first=9) as process:
        process.kill()
    log = tmp_path / "log"
    strace = [require_tool("strace"), "-f", "-qq", "-o", os.fspath(log), "-e", "trace=openat"]
    done = copy(many, device, prefix=strace)
    assert done.code == 0
    cursor = done.document["resumed_after"]["path"]
    assert cursor > "folder-00003"
    assert len(done.document["deleted"]) <= 1
    before = [path.name for path in many.iterdir() if path.is_dir() and path.name + "/" < cursor[:13]]
    assert len(before) >= 3
    opened = log.read_text()
    assert [name for name in before if f'"{name}"' in opened] == []
    assert any(f'"{path.name}"' in opened for path in many.iterdir() if path.name + "/" > cursor)
    folders = sum(path.is_dir() for path in many.rglob("*")) + 1
    assert done.document["folders_opened"] < folders - 10


def test_an_interrupt_commits_what_is_there(tmp_path: Path, many: Path, device: Path) -> None:
    with copying(many, device, packs_first=2) as process:
        workers = children(process.pid)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert b"interrupted" in err
    assert not any(map(is_alive, workers))
    assert {finding.split(":")[0] for finding in findings(device)} == {"incomplete"}
    done = copy(many, device)
    assert (done.code, done.document["deleted"], done.document["run"]) == (0, [], 1)
    assert done.document["resumed_after"]
    assert_holds(device, many, tmp_path / "out")


def test_an_interrupt_from_the_terminal_reaches_the_workers_too(many: Path, device: Path) -> None:
    """The terminal sends it to the whole process group; the agent decides."""
    command = transfer_command("copy", many, device, "--workers", "2", "--bwlimit", "2M", "--json")
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    wait_until(lambda: len(children(process.pid)) == 2, "workers start")
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert {finding.split(":")[0] for finding in findings(device)} <= {"incomplete"}


def test_a_killed_worker_is_one_clear_error_and_nothing_is_lost(
    tmp_path: Path, many: Path, device: Path
) -> None:
    with copying(many, device, packs_first=2) as process:
        os.kill(children(process.pid)[0], signal.SIGKILL)
        _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1
    assert b"a worker process ended unexpectedly" in err
    assert b"Traceback" not in err
    assert {finding.split(":")[0] for finding in findings(device)} == {"incomplete"}
    assert copy(many, device).code == 0
    assert_holds(device, many, tmp_path / "out")


def test_trouble_met_before_an_interruption_is_told_at_the_end(many: Path, device: Path) -> None:
    os.mkfifo(many / "a pipe")
    with copying(many, device, packs_first=2) as process:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT_S)
    done = copy(many, device)
    assert done.document["resumed_after"]["path"] > "a pipe"
    assert (done.code, done.problems) == (3, {"a pipe": "fifo"})


def test_links_are_still_links_behind_an_interruption(tmp_path: Path, many: Path, device: Path) -> None:
    first = many / "folder-00000" / "file-0000000.dat"
    os.link(first, many / "folder-00004" / "same")
    os.link(first, many / "zz same")
    with copying(many, device, packs_first=2) as process:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT_S)
    assert copy(many, device).code == 0
    assert_holds(device, many, tmp_path / "out")


def test_of_two_agents_the_second_is_turned_away_at_once(many: Path, device: Path) -> None:
    with copying(many, device) as process:
        for command in (("copy", many, device), ("seal", device)):
            done = run(*command)
            assert done.code == 11
            assert f"in use by transfer copy, process {process.pid} on " in done.stderr
        process.kill()
        process.wait()
        assert copy(many, device).code == 0


def test_a_real_disk_that_loses_power_again_and_again(tmp_path: Path, many: Path) -> None:
    from tests.jobs.copy.copying import prepared

    with ext4_image(48 * MIB) as disk:
        device = prepared(Path(disk.path))
        os.sync()
        command = transfer_command("copy", many, device, "--workers", "1", "-q", "--bwlimit", "6M")
        for number in (1, 3):
            process = subprocess.Popen(command, stderr=subprocess.PIPE)
            event = bytes_exist(f"{device}/packs/*", number * MIB + 1000)
            wait_until(lambda: event(b""), "bytes on the disk")  # noqa: B023 - called at once
            disk.cut_power()
            _, err = process.communicate(timeout=TIMEOUT_S)
            assert process.returncode == 10, err
            disk.plug_in()
            assert {finding.split(":")[0] for finding in findings(device)} <= {"incomplete", "uncommitted"}
        assert copy(many, device).code == 0
        assert_holds(device, many, tmp_path / "out")
