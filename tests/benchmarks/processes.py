"""Runs a program and tells what it and all its descendants cost.

* Wall: from before the fork to the end of the program, and of the final sync where one is asked for.
* Processor time: of every process of its session, orphans included: this process adopts them (a subreaper,
  see prctl(2)) and waits for them, outside the wall time.
* Peak memory: the largest sum of the proportional set sizes (PSS) of these processes, looked at every 20 ms.
  Looking costs time, so rounds that are timed are not looked at.

Nothing that was started outlives the call, however it ends.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.benchmarks.results import Cost

_PR_SET_CHILD_SUBREAPER = 36
_TICKS = os.sysconf("SC_CLK_TCK")
_ORPHANS_END_IN_S = 10.0
_LOOK_EVERY_S = 0.02
_PSS = re.compile(rb"^Pss: +(\d+) kB$", re.MULTILINE)


class ProgramError(Exception):
    """A measured program failed; the message has the last line of what it said."""


@dataclass(frozen=True)
class Measured:
    """Of one run; `peak_bytes` is 0 where memory was not watched."""

    cost: Cost
    peak_bytes: int


def measure(
    command: Sequence[str | Path],
    env: Mapping[str, str] | None = None,
    *,
    sync: Path | None = None,
    watch_memory: bool = False,
    server_pid: int | None = None,
) -> Measured:
    """Run a program to its end.

    Args:
        command: program and arguments.
        env: what its environment has beyond this process's own.
        sync: a path whose file system is synced at the end, within the wall time.
        watch_memory: look at its memory, which slows it down.
        server_pid: a process whose processor time is told apart from that of others.

    Raises:
        ProgramError: it ended with something else than 0.
    """
    _adopt_orphans()
    with tempfile.TemporaryFile() as errors:
        busy, served = _busy_s(), _cpu_of(server_pid)
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        watch = MemoryWatch(process.pid) if watch_memory else None
        try:
            cpu_s = _wait(process)
            if sync is not None:
                subprocess.run(["sync", "--file-system", sync], check=True)
            wall_s = time.perf_counter() - start
        finally:
            peak = watch.stop() if watch else 0
            cpu_of_orphans_s = end_session(process)
        _raise_if_failed(os.path.basename(command[0]), process, errors)
        cpu_s += cpu_of_orphans_s
        served = _cpu_of(server_pid) - served
        others = max(0.0, _busy_s() - busy - cpu_s - served)
    return Measured(Cost(wall_s, cpu_s, served if server_pid else None, others), peak)


def end_session(process: subprocess.Popen[bytes]) -> float:
    """Give what is left of a process's group a moment to end, kill it then; its processor seconds."""
    if process.returncode is None:
        _kill_group(process.pid)
        _wait(process)
    killer = threading.Timer(_ORPHANS_END_IN_S, _kill_group, [process.pid])
    killer.start()
    cpu_s = 0.0
    try:
        with suppress(ChildProcessError):  # nobody left
            while True:
                _, _, usage = os.wait4(-process.pid, 0)
                cpu_s += usage.ru_utime + usage.ru_stime
    finally:
        killer.cancel()
    return cpu_s


class MemoryWatch:
    """Looks at the memory of a session from a thread of its own, until it is stopped."""

    def __init__(self, session: int) -> None:
        self._session = session
        self._peak = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """The largest sum in bytes that was seen."""
        self._is_over.set()
        self._thread.join()
        return self._peak

    def _look(self) -> None:
        while not self._is_over.wait(_LOOK_EVERY_S):
            self._peak = max(self._peak, sum(map(_pss_bytes, _members(self._session))))


def _members(session: int) -> list[int]:
    """The processes of a session."""
    found = []
    for name in os.listdir("/proc"):
        with suppress(OSError):
            if name.isdigit() and os.getsid(int(name)) == session:
                found.append(int(name))
    return found


def _pss_bytes(pid: int) -> int:
    try:
        match = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_bytes())
    except OSError:  # it has ended
        return 0
    return int(match[1]) << 10 if match else 0


def _wait(process: subprocess.Popen[bytes]) -> float:
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _raise_if_failed(name: str, process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    if process.returncode:
        errors.seek(0)
        told = errors.read()[-500:].decode(errors="replace").strip().rpartition("\n")[2]
        raise ProgramError(f"{name} ended with {process.returncode}: {told}")


def _adopt_orphans() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def _busy_s() -> float:
    """Processor seconds of the whole machine since its start, with what its host took away."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / _TICKS


def _cpu_of(pid: int | None) -> float:
    """Processor seconds of one running process: fields 14 and 15 of proc_pid_stat(5)."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
