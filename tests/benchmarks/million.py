"""One million files in one folder: how long copy takes, and how much memory all its processes have together.

    python -m tests.benchmarks.million [COUNT] [FOLDER]

FOLDER is where source and device are made and deleted again, /dev/shm by default. Fails when the peak is
above 400 MiB. Memory is the proportional set size of the agent and its workers, looked at every 50 ms.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from transfer.formats.profile import parse_profile
from transfer.jobs.prepare import prepare

LIMIT_BYTES = 400 << 20
PROFILE = Path(__file__).parents[2] / "device_profiles" / "folder.toml"
TRANSFER = [sys.executable, "-c", "from transfer.cli.app import main; main()"]


def make_files(folder: Path, count: int) -> None:
    """Files of a few bytes with names of 20 characters."""
    folder.mkdir()
    here = os.open(folder, os.O_RDONLY)
    for number in range(count):
        name = b"file-%015d" % (number * 7919 % 1_000_003)
        file = os.open(name, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=here)
        os.write(file, b"content of %d" % number)
        os.close(file)
    os.close(here)


def memory_bytes(pid: int) -> int:
    """Proportional set size of a process and its children; 0 for what has ended."""
    total = 0
    children = "".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    for process in [pid, *map(int, children.split())]:
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        match = re.search(r"^Pss: +(\d+) kB$", text, re.MULTILINE)
        total += int(match[1]) << 10 if match else 0
    return total


def measure(*arguments: str) -> tuple[float, int]:
    """Seconds that `transfer copy` takes, and its peak of memory."""
    start, peak = time.monotonic(), 0
    process = subprocess.Popen([*TRANSFER, "copy", *arguments, "--quiet"], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        peak = max(peak, memory_bytes(process.pid))
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"copy ended with {process.returncode}")
    return time.monotonic() - start, peak


def main() -> int:
    """Measure the first copy and one that finds nothing new; 1 when one took too much memory."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else "/dev/shm") as place:
        source, device = Path(place, "source"), Path(place, "device")
        make_files(source, count)
        device.mkdir()
        prepare(str(device), parse_profile(PROFILE.read_bytes(), "folder"), "million")
        worst = 0
        for what in ("first copy", "nothing new"):
            seconds, peak = measure(str(source), str(device))
            rate = f"{seconds:.1f} s, {count / seconds:,.0f} files/s"
            print(f"{what}: {count:,} files, {rate}, peak {peak >> 20} MiB")
            worst = max(worst, peak)
    return int(worst > LIMIT_BYTES)


if __name__ == "__main__":
    sys.exit(main())
