"""Which drive a folder is on, and which commands of others make a drive erase itself. Nothing is run here.

The drive is the one that the mount comes from (proc_pid_mountinfo(5)), and its kind what Linux says of it,
which behind a USB bridge may be wrong. Elsewhere, and where something lies between (device mapper, RAID,
loop, network), no drive is named; nor is one that this machine's own system is on.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import Literal

_MOUNTS = "/proc/self/mountinfo"
_SYSFS = "/sys/dev/block"
_BLOCKS = "/sys/class/block"
_ESCAPE = re.compile(r"\\([0-7]{3})")
_CONTROLLER = re.compile(r"nvme[0-9]+")
_LAYERS = ("dm-", "loop", "md", "zram", "nbd", "ram")

Kind = Literal["nvme", "flash", "spinning", "unknown"]


@dataclass(frozen=True)
class Drive:
    """What a folder is on.

    Attributes:
        source: what is mounted: "/dev/sda1", or whatever the file system calls it; empty where nobody knows.
        disk: the whole drive; empty where none can be named.
        controller: of an NVMe drive; empty where none can be named. Its number need not be that of `disk`
            (nvme-format(1)): whoever guesses it may erase another drive.
        is_system: this machine's own system is on it as well.
    """

    source: str = ""
    disk: str = ""
    kind: Kind = "unknown"
    controller: str = ""
    is_system: bool = False


def drive_of(path: str) -> Drive:
    """The drive that a folder is on, as far as it can be told."""
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            mounts = file.read()
        drive, system = _drive(mount_source(mounts, os.path.realpath(path))), mount_source(mounts, "/")
        if drive.source == system or drive.disk in _disks_of(system):
            return Drive(drive.source, is_system=True)
        return drive  # noqa: TRY300
    except OSError:
        return Drive()


def mount_source(mountinfo: str, path: str) -> str:
    """What is mounted where a path is.

    Args:
        mountinfo: the text of /proc/self/mountinfo.
        path: absolute, without links.
    """
    found, source = "", ""
    for line in mountinfo.splitlines():
        told, _, behind = line.partition(" - ")
        fields, more = told.split(" "), behind.split(" ")
        if len(fields) < 5 or len(more) < 2:
            continue
        point = _unescaped(fields[4])
        # Of several on one point the last is on top.
        if len(point) >= len(found) and (path + "/").startswith(point.rstrip("/") + "/"):
            found, source = point, _unescaped(more[1])
    return source


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)


def _drive(source: str) -> Drive:
    if not source.startswith("/"):
        return Drive(source)
    status = os.stat(source)
    if not stat.S_ISBLK(status.st_mode):
        return Drive(source)
    place = os.path.realpath(f"{_SYSFS}/{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}")
    if os.path.exists(f"{place}/partition"):
        place = os.path.dirname(place)
    name = os.path.basename(place)
    if name.startswith(_LAYERS) or not os.path.isdir(place):
        return Drive(source)
    return Drive(source, f"/dev/{name}", _kind(name, place), _controller(place))


def _disks_of(source: str) -> set[str]:
    """The drives that a file system is on, also below layers."""
    found = _drive(source).disk
    if found or not source.startswith("/"):
        return {found} if found else set()
    names, disks = [os.path.basename(os.path.realpath(source))], set()
    while names:
        name = names.pop()
        place = os.path.realpath(f"{_BLOCKS}/{name}")
        below = os.listdir(f"{place}/slaves") if os.path.isdir(f"{place}/slaves") else []
        names += below
        if not below:
            is_part = os.path.exists(f"{place}/partition")
            disks.add(f"/dev/{os.path.basename(os.path.dirname(place) if is_part else place)}")
    return disks


def _kind(name: str, place: str) -> Kind:
    if name.startswith("nvme"):
        return "nvme"
    try:
        with open(f"{place}/queue/rotational", encoding="ascii") as file:
            return "spinning" if file.read(1) == "1" else "flash"
    except OSError:
        return "unknown"


def _controller(place: str) -> str:
    """The one NVMe controller of a namespace: its folder in sysfs, or the only one beside it."""
    above = os.path.dirname(place)
    if _CONTROLLER.fullmatch(os.path.basename(above)):
        return f"/dev/{os.path.basename(above)}"
    found = [name for name in os.listdir(above) if _CONTROLLER.fullmatch(name)]
    return f"/dev/{found[0]}" if len(found) == 1 else ""


def erase_commands(drive: Drive) -> list[str]:
    """Commands that make a drive erase itself, best first; each needs a drive that has the feature.

    None for a drive with this machine's system on it. They destroy everything on the drive. Sources:
    nvme-sanitize(1), nvme-format(1), hdparm(8), blkdiscard(8).
    """
    if drive.is_system:
        return []
    disk = drive.disk or "/dev/DRIVE"
    discard = f"blkdiscard --secure {disk}"
    if drive.kind == "nvme":
        controller = drive.controller or "/dev/nvmeX"
        return [
            f"nvme sanitize {controller} --sanact=start-crypto-erase",
            f"nvme sanitize {controller} --sanact=start-block-erase",
            f"nvme format {disk} --ses=2",
            f"nvme format {disk} --ses=1",
        ]
    sanitize = f"hdparm --yes-i-know-what-i-am-doing --sanitize-{{}} {disk}"
    unit = (
        f"hdparm --user-master u --security-set-pass p {disk} && "
        f"hdparm --user-master u --security-erase-enhanced p {disk}"
    )
    scramble, block = sanitize.format("crypto-scramble"), sanitize.format("block-erase")
    return [scramble, unit] if drive.kind == "spinning" else [scramble, block, unit, discard]
