"""Runs a command and kills it (SIGKILL) at a chosen event, or makes one of its system calls fail.

Two ways to choose the moment:

* `run_and_kill` watches from outside: bytes on disk, names, words on stderr. The kill comes soon after the
  event, and what the process does in between is left to chance: as in life, and good for many rounds.
* `killed_at` and `failing_at` go through strace: the process dies at the n-th call of a kind, or that call
  fails. Exact; but each thread counts its own calls.

Either way the caller learns whether the event came: a test must check that its planned fault really fired.
"""

from __future__ import annotations

import glob
import os
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tests.tools import require_tool

RENAME = ("rename", "renameat", "renameat2")
FSYNC = ("fsync", "fdatasync")
WRITE = ("write", "pwrite64", "writev")
UNLINK = ("unlink", "unlinkat")

# Given all of stderr so far, says whether the moment has come.
Event = Callable[[bytes], bool]


@dataclass(frozen=True)
class Outcome:
    """How a command ended. `killed` tells that the event came while it ran."""

    killed: bool
    returncode: int
    stdout: bytes
    stderr: bytes


def bytes_exist(pattern: str, count: int) -> Event:
    """When the files that match a glob pattern (`**` included) have `count` bytes together."""
    return lambda _stderr: sum(map(_size, glob.iglob(pattern, recursive=True, include_hidden=True))) >= count


def files_exist(pattern: str, count: int) -> Event:
    """When `count` files match: where files get their names by rename, after the `count`-th rename."""
    return lambda _stderr: len(glob.glob(pattern, recursive=True, include_hidden=True)) >= count


def stderr_shows(text: str) -> Event:
    """When the text stands on stderr."""
    return lambda stderr: text.encode() in stderr


def run_and_kill(
    command: Sequence[str],
    event: Event,
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    timeout_s: float = 60,
) -> Outcome:
    """Run a command in a process group of its own, and kill it, children and all, as soon as the event comes.

    Args:
        command: program and arguments.
        event: looked for every millisecond or so.
        env: its environment; None: this process's.
        cwd: its working directory.
        timeout_s: how long it may run. However it ends, nothing of its process group is left running.

    Returns:
        The outcome; `killed` is false where the command ended by itself before the event.

    Raises:
        TimeoutError: neither the event nor the end came in time.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
        try:
            killed = _wait(process, err.fileno(), event, time.monotonic() + timeout_s)
        finally:
            _kill_group(process)
        return Outcome(killed, process.returncode, _content(out.fileno()), _content(err.fileno()))


def killed_at(command: Sequence[str], calls: Sequence[str], nth: int) -> list[str]:
    """The command under strace, killed on entry to the `nth` of these system calls: that call has no effect.

    Its return code is then -SIGKILL, strace dying the same death.
    """
    # --seccomp-bpf would be quicker, but strace 6.1 does not deliver signals with it.
    return [*_strace(calls), f"--inject={','.join(calls)}:signal=SIGKILL:when={nth}", *command]


def failing_at(command: Sequence[str], calls: Sequence[str], nth: int, error: str) -> list[str]:
    """The command under strace, with the `nth` of these system calls failing with an error such as EIO."""
    return [
        *_strace(calls),
        "--seccomp-bpf",
        f"--inject={','.join(calls)}:error={error}:when={nth}",
        *command,
    ]


def _strace(calls: Sequence[str]) -> list[str]:
    return [require_tool("strace"), "-f", "-qq", "--output=/dev/null", f"--trace={','.join(calls)}"]


def _wait(process: subprocess.Popen[bytes], stderr: int, event: Event, deadline: float) -> bool:
    """True when the event came, False when the process ended before it."""
    while process.poll() is None:
        if event(_content(stderr)):
            return True
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"neither the event nor the end came; stderr so far: {_content(stderr)[-500:]!r}"
            )
        time.sleep(0.001)
    return False


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):  # all have ended
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _content(file: int) -> bytes:
    return os.pread(file, os.fstat(file).st_size, 0)


def _size(path: str) -> int:
    try:
        status = os.lstat(path)
    except FileNotFoundError:  # renamed since it was listed
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0
