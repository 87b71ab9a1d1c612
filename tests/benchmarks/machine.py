"""The machine and the programs of a measurement, told so that others can judge the figures."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks import programs

_GIB = 1 << 30


def describe(disk: Path) -> dict[str, str]:
    """What it is to how it is told; without names of hosts, users or places."""
    told = {
        "processors": f"{os.cpu_count()} x {_processor()}",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / _GIB:.1f} GiB",
        "disk": f"{_file_system(disk)} ({_disk_kind(disk)})",
        "system": f"{_distribution()}, Linux {platform.release().split('-')[0]}",
        "Python": platform.python_version(),
        "load before": _load(),
        "transfer": version("transfer-appliance"),
    }
    peers = [f"{peer.name.removesuffix('.py')} {peer.told_version()}" for peer in programs.ALL]
    return told | {"peers": ", ".join(peers)}


def _load() -> str:
    """The load averages of 1, 5 and 15 minutes: 0 on an idle machine."""
    return ", ".join(f"{load:.2f}" for load in os.getloadavg())


def _processor() -> str:
    match = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return match[1].strip() if match else platform.machine()


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "Linux"


def _file_system(path: Path) -> str:
    """The type of the file system a path is on: the longest mount point above it, see proc_mounts(5)."""
    path = path.resolve()
    found = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(len(point), kind) for point, kind in found if path.is_relative_to(point)]
    return max(above)[1] if above else "unknown"


def _disk_kind(path: Path) -> str:
    """What the kernel says of the device below it."""
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    device = existing.stat().st_dev
    block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    queues = [folder / "queue" / "rotational" for folder in (block, block.parent)]
    told = next((queue.read_text().strip() for queue in queues if queue.exists()), "")
    return {"0": "not rotating", "1": "rotating, or a virtual disk"}.get(told, "kind unknown")
