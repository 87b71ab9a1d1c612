"""resume: a copy killed at about half of its files; the time until the next one brings its first new file.

The moment is seen from outside: the first write into a pack that the second copy made. What the bare
interpreter takes to start is taken off. The device has small packs, 20 to 200 of them, so that there is
something to resume from; every round begins with the same half device.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.appliance import PROFILE, prepare, run, transfer
from tests.benchmarks.datasets import Content, make_small
from tests.benchmarks.first_write import FirstWrite
from tests.benchmarks.places import empty, tmpfs
from tests.benchmarks.processes import ProgramError, end_session, measure
from tests.benchmarks.results import Cost, Entry, Row
from tests.benchmarks.setting import Setting, room_for_small
from tests.benchmarks.targets import COPY
from tests.simulators.kills import files_exist, run_and_kill

_PROFILE = Path(__file__).parents[2] / "device_profiles" / f"{PROFILE}.toml"
_TIMEOUT_S = 600.0
_MOST_ENTRIES, _LEAST_ENTRIES = 5000, 500
_INTERPRETER = "python -c pass"


def once(setting: Setting) -> Row:
    """SMALL."""
    return _resume("resume", setting, setting.small_files())


def ten_times(setting: Setting) -> Row:
    """Ten times SMALL."""
    return _resume("resume-ten", setting, setting.small_files(10))


def _resume(key: str, setting: Setting, count: int) -> Row:
    with tmpfs(room_for_small(count, 0.8)) as place:
        setting.say(f"{key}: {count:,} files")
        source, half, device = place / "source", place / "half", place / "device"
        content = make_small(source, count)
        packs = _kill_at_half(source, half, content)
        bare = [_interpreter_start() for _ in range(max(5, setting.rounds))]
        bare_s = statistics.median(cost.wall_s for cost in bare)
        costs = []
        for _ in range(setting.rounds):
            _copy_device(half, device)
            costs.append(Cost(_first_file_s(source, device) - bare_s))
        _copy_device(half, device)
        _check(source, device, content)
    ours = Entry(COPY, "us", costs)
    title = (
        f"resume after kill -9 at half of {count:,} files: time to the first new file, less the interpreter"
    )
    return Row(key, title, [ours, Entry(_INTERPRETER, "reference", bare)], [f"{packs} packs were committed"])


def _kill_at_half(source: Path, device: Path, content: Content) -> int:
    """Make a device by a copy that is killed; how many packs were committed."""
    entries = min(_MOST_ENTRIES, max(_LEAST_ENTRIES, content.files // 20))
    profile = source.with_name("small-packs.toml")
    text = re.sub(r"(?m)^max_entries = .*$", f"max_entries = {entries}", _PROFILE.read_text())
    profile.write_text(text)
    device.mkdir()
    prepare(device, profile)
    half = max(1, content.files // entries // 2)
    command = [*map(str, transfer("copy", source, device, "--quiet"))]
    outcome = run_and_kill(command, files_exist(f"{device}/segments/*.zst", half), timeout_s=_TIMEOUT_S)
    if not outcome.killed:
        raise ProgramError(f"the copy was over before it could be killed: {outcome.stderr.decode()[-500:]}")
    return half


def _copy_device(half: Path, device: Path) -> None:
    empty(device)
    subprocess.run(["cp", "-a", f"{half}/.", device], check=True)


def _first_file_s(source: Path, device: Path) -> float:
    """The next copy, up to its first write into a new pack; it is killed then."""
    with FirstWrite(device / "packs") as event:
        start = time.perf_counter()
        process = subprocess.Popen(
            transfer("copy", source, device, "--quiet"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return event.wait(_TIMEOUT_S) - start
        finally:
            end_session(process)


def _check(source: Path, device: Path, content: Content) -> None:
    """The half device must really have been gone on with, and come to its end."""
    result = run("copy", source, device)
    held = run("info", device)["content_bytes"]
    if not result["packs_found"] or held != content.size_bytes:
        raise ProgramError(f"copy found {result['packs_found']} packs, the device holds {held} bytes")


def _interpreter_start() -> Cost:
    return measure([sys.executable, "-c", "pass"]).cost
