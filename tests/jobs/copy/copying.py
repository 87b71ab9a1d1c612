"""What the tests of copy share: a device profile with tiny packs, the commands, the restore with the stock
tools alone.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.simulators.compare import differences
from tests.tools import require_tool
from transfer.cli import app as program
from transfer.device.device import open_device, take_inventory
from transfer.device.manifest import read_manifest
from transfer.formats.profile import parse_profile
from transfer.jobs.copy.job import copy as run_copy
from transfer.jobs.copy.options import CopyOptions
from transfer.jobs.filling.result import FillResult
from transfer.jobs.prepare import prepare
from transfer.jobs.verify.job import verify

KIB, MIB = 1 << 10, 1 << 20
CHUNK = 64 * KIB
PACK = 512 * KIB
TRANSFER = [sys.executable, "-c", "from transfer.cli.app import main; main()"]

PROFILE = """
name = "tiny"
title = "Tiny packs, for tests"
interface = "local"
capacity = "all"
reserve = "1MiB"
[file_system]
max_file_size = "none"
forbidden_characters = ""
forbids_control_characters = false
max_name_length = 255
name_unit = "bytes"
case_sensitive = true
symlinks = true
hard_links = true
unix_modes = true
[pack]
pack_size = "512KiB"
chunk_size = "64KiB"
batch_size = "64KiB"
batch_entries = 20
max_entries = 100
[compression]
level = 1
[speed]
write = "100MB/s"
read = "100MB/s"
[carrier]
days = 0
"""


@dataclass(frozen=True)
class Done:
    """How a command ended; `document` is the first JSON document that it printed."""

    code: int
    document: dict[str, Any]
    stderr: str

    @property
    def problems(self) -> dict[str, str]:
        """Reason by path, of what was not copied as it should be."""
        return {problem.get("path", ""): problem["reason"] for problem in self.document["problems"]}


def transfer_command(*arguments: str | Path) -> list[str]:
    """The command line of `transfer`."""
    return [*TRANSFER, *map(os.fspath, arguments)]


def run(*arguments: str | Path, prefix: Sequence[str] = ()) -> Done:
    """Run `transfer` with --json to its end: in this process, or with a prefix as one of its own."""
    words = [*map(os.fspath, arguments), "--json"]
    if prefix:
        done = subprocess.run([*prefix, *TRANSFER, *words], capture_output=True, check=False, timeout=90)
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        return _done(done.returncode, done.stdout.decode(), done.stderr.decode(errors="replace"))
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = program.run(words)
    return _done(code, out.getvalue(), err.getvalue())


def _done(code: int, out: str, err: str) -> Done:
    lines = out.splitlines()
    return Done(code, json.loads(lines[0]) if lines else {}, err)


def copy(source: Path, device: Path, *options: str, prefix: Sequence[str] = ()) -> Done:
    """Run copy with one worker process."""
    return run("copy", source, device, "-q", "--workers", "1", *options, prefix=prefix)


def copy_here(source: Path, device: Path, **options: Any) -> FillResult:
    """Run copy in this process, so that a test can have things happen at a chosen moment."""
    chosen = CopyOptions(**{"workers": 2, **options})
    running = run_copy(os.fspath(source), [os.fspath(device)], chosen, lambda seen: None, lambda found: None)
    return asyncio.run(running)


def prepared(place: Path, *, profile: str = PROFILE, capacity_bytes: int | None = None) -> Path:
    """A new device of the tiny profile."""
    place.mkdir(exist_ok=True)
    parsed = parse_profile(profile.encode(), "the tests' profile")
    prepare(os.fspath(place), parsed, "test", capacity_bytes=capacity_bytes)
    return place


def findings(device: Path) -> set[str]:
    """The codes of all that a deep verify finds."""
    found: set[str] = set()
    verify(
        os.fspath(device),
        deep=True,
        observe=lambda progress: None,
        on_finding=lambda finding: found.add(f"{finding.code}: {finding.path} {finding.detail}"),
        workers=2,
    )
    return found


def restore(device: Path, to: Path) -> Path:
    """Restore with cat, zstd and tar."""
    to.mkdir()
    tar = f"{require_tool('tar')} xip --xattrs --xattrs-include='*' --warning=no-timestamp -C \"$0\""
    command = f"set -o pipefail; cat packs/* | {require_tool('zstd')} -dcq | {tar}"
    done = subprocess.run(
        ["bash", "-c", command, os.fspath(to)],
        cwd=device,
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return to


def recover(device: Path, to: Path) -> tuple[int, str]:
    """Restore with the device's own script; its exit code and what it said."""
    to.mkdir()
    command = ["sh", os.fspath(device / "recover.sh"), os.fspath(to)]
    done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode, done.stderr.decode(errors="replace")


def unlike(source: Path, restored: Path, **options: Any) -> list[str]:
    """What two trees differ in."""
    return differences(os.fsencode(source), os.fsencode(restored), **options)


def assert_holds(device: Path, source: Path, to: Path, **options: Any) -> None:
    """The device is valid, and restores to exactly the source."""
    assert findings(device) == set()
    assert unlike(source, restore(device, to), **options) == []


def packs(device: Path) -> list[str]:
    """Names of the packs."""
    return sorted(os.listdir(device / "packs"))


def merged(device: Path) -> dict[str, str]:
    """The merged view: kind of record by path; of a path with trouble the trouble."""
    opened = open_device(os.fspath(device))
    manifest = read_manifest(opened, take_inventory(opened.layout).segments)
    return {os.fsdecode(path): type(record).__name__.lower() for path, record in manifest.merged()}


def records_of(device: Path, run_number: int) -> list[tuple[str, str]]:
    """Path and kind of what one run recorded."""
    opened = open_device(os.fspath(device))
    manifest = read_manifest(opened, take_inventory(opened.layout).segments)
    records = manifest.run_records(run_number)
    return [(os.fsdecode(path), type(record).__name__.lower()) for path, record in records]
