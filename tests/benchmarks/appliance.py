"""Our own side: the commands of `transfer`, with their defaults, as a person would call them.

Defaults mean everything on: BLAKE3, both CRCs, zstd level 1, manifest, fsync. The profile is that of a USB
SSD, whose capacity alone is made smaller to fit where it is measured.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.benchmarks.datasets import Content
from tests.benchmarks.processes import ProgramError
from tests.benchmarks.race import Contender, NotDoneError
from tests.benchmarks.targets import COPY
from tests.simulators.servers import program

PROFILE = "usb-ssd-4tb"
_MIB = 1 << 20


def transfer(*arguments: str | Path) -> list[str | Path]:
    """The command with these arguments."""
    return [program("transfer"), *arguments]


def run(*arguments: str | Path) -> dict[str, object]:
    """Run a command, not measured; its result.

    Raises:
        ProgramError: it did not end with 0.
    """
    done = subprocess.run(
        transfer(*arguments, "--json"), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise ProgramError(f"transfer {arguments[0]} ended with {done.returncode}: {done.stderr[-500:]}")
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


def prepare(device: Path, profile: str | Path = PROFILE) -> None:
    """Make an empty folder a device that may take all that is free there."""
    room = shutil.disk_usage(device).free // _MIB
    run("prepare", device, "--profile", profile, "--job", "benchmark", "--capacity", f"{room}MiB")


def fill(source: Path, device: Path, *options: str) -> None:
    """Make a folder, and in it a sealed device with all of the source."""
    device.mkdir()
    prepare(device)
    run("copy", source, device, *options)
    run("seal", device)


def stored_bytes(device: Path) -> int:
    """Packs and segments of a device together."""
    return sum(os.path.getsize(path) for path in stored_files(device))


def stored_files(device: Path) -> list[Path]:
    """Its packs and segments, in order."""
    return [*sorted((device / "packs").iterdir()), *sorted((device / "segments").iterdir())]


def copy_contender(source: Path, content: Content, *options: str) -> Contender:
    """`transfer copy` onto a prepared device."""

    def check(target: Path) -> None:
        held = run("info", target)["content_bytes"]
        if held != content.size_bytes:
            raise NotDoneError(f"the device holds {held} of {content.size_bytes} bytes")

    return Contender(
        COPY,
        lambda target: transfer("copy", source, target, "--quiet", *options),
        kind="us",
        prepare=prepare,
        check=check,
    )
