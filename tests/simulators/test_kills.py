"""kills: the process dies at the event, an event is told apart from an end, calls fail when they should."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulators.kills import (
    FSYNC,
    RENAME,
    Event,
    bytes_exist,
    failing_at,
    files_exist,
    killed_at,
    run_and_kill,
    stderr_shows,
)

PYTHON = [sys.executable, "-I", "-S", "-B", "-c"]  # one that names no files by itself
RENAMES_FOR_EVER = """
import itertools, os, sys
for n in itertools.count():
    with open(f"{sys.argv[1]}/{n}.partial", "wb", buffering=0) as file:
        file.write(b"x" * 1000)
        os.fsync(file.fileno())
    os.rename(f"{sys.argv[1]}/{n}.partial", f"{sys.argv[1]}/{n}")
    print(f"done {n}", file=sys.stderr, flush=True)
"""
RENAMES_FIVE = RENAMES_FOR_EVER.replace("itertools.count()", "range(5)")


EVENTS: list[Callable[[Path], Event]] = [
    lambda place: files_exist(f"{place}/*[0-9]", 7),
    lambda place: bytes_exist(f"{place}/**", 7000),
    lambda _place: stderr_shows("done 6\n"),
]


@pytest.mark.parametrize("event", EVENTS, ids=["files", "bytes", "stderr"])
def test_it_is_killed_once_the_event_came(tmp_path: Path, event: Callable[[Path], Event]) -> None:
    outcome = run_and_kill([*PYTHON, RENAMES_FOR_EVER, str(tmp_path)], event(tmp_path))
    assert outcome.killed
    assert outcome.returncode == -signal.SIGKILL
    assert b"done 5\n" in outcome.stderr
    assert len(list(tmp_path.iterdir())) >= 7


def test_a_command_that_ends_before_the_event_is_told(tmp_path: Path) -> None:
    outcome = run_and_kill([*PYTHON, "print('all done')"], files_exist(f"{tmp_path}/*", 1))
    assert (outcome.killed, outcome.returncode, outcome.stdout) == (False, 0, b"all done\n")


def test_neither_event_nor_end_is_an_error_and_leaves_no_process(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with pytest.raises(TimeoutError, match="neither the event nor the end"):
        run_and_kill(["flock", str(lock), "sleep", "100"], stderr_shows("never"), timeout_s=0.3)
    with open(lock, "w") as file:  # waits for the death; the test's own timeout bounds it
        fcntl.flock(file, fcntl.LOCK_EX)


# Only the child holds the lock: that it can be had tells that the child is dead.
PARENT_AND_CHILD = """
import fcntl, subprocess, sys, time
with open(sys.argv[1], "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    subprocess.Popen(["sleep", "100"], pass_fds=[lock.fileno()])
print("both run", file=sys.stderr, flush=True)
time.sleep(100)
"""


def test_children_die_as_well(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    outcome = run_and_kill([*PYTHON, PARENT_AND_CHILD, str(lock)], stderr_shows("both run"))
    assert outcome.killed
    with open(lock) as file:  # waits for the death; the test's own timeout bounds it
        fcntl.flock(file, fcntl.LOCK_EX)


def test_killed_at_stops_before_the_call(tmp_path: Path) -> None:
    for nth in range(1, 7):
        place = tmp_path / str(nth)
        place.mkdir()
        outcome = subprocess.run(
            killed_at([*PYTHON, RENAMES_FIVE, str(place)], RENAME, nth), capture_output=True, check=False
        )
        names = {path.name for path in place.iterdir()}
        expected = {str(n) for n in range(min(nth - 1, 5))} | ({f"{nth - 1}.partial"} if nth <= 5 else set())
        assert names == expected
        assert outcome.returncode == (-signal.SIGKILL if nth <= 5 else 0)


def test_failing_at_fails_that_call_alone(tmp_path: Path) -> None:
    command = failing_at([*PYTHON, RENAMES_FIVE, str(tmp_path)], FSYNC, 3, "EIO")
    outcome = subprocess.run(command, capture_output=True, check=False)
    assert outcome.returncode == 1
    assert b"Errno 5" in outcome.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1", "2.partial"}
