"""Devices filled and imported through the command line, in this process or in one of its own."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.jobs.buckets import Bucket
from tests.simulators.servers import program
from transfer.cli.app import run as run_command

CHUNK = 1 << 20
_FOLDER_PROFILE = Path(__file__).parents[2] / "device_profiles/folder.toml"


@dataclass
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str
    report: dict[str, Any] | None = None
    succeeded: dict[str, dict[str, str]] = field(default_factory=dict)
    failed: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on stdout."""
        document: dict[str, Any] = json.loads(self.stdout)
        return document


def write_profile(path: Path, **sizes: str) -> Path:
    """A profile like `folder`, with other sizes of its pack."""
    told = {"pack_size": "8MiB", "chunk_size": "1MiB", "batch_size": "256KiB"} | sizes
    text = _FOLDER_PROFILE.read_text().replace('name = "folder"', 'name = "small"')
    for name, size in told.items():
        text, count = re.subn(rf'(?m)^{name} = ".*"$', f'{name} = "{size}"', text)
        assert count == 1
    path.write_text(text)
    return path


def transfer(*arguments: str | os.PathLike[str], environment: dict[str, str] | None = None) -> Ended:
    """Run a command in this process: what it leaves loose shows as warnings of this test."""
    out, err = StringIO(), StringIO()
    with patch.dict(os.environ, environment or {}), redirect_stdout(out), redirect_stderr(err):
        code = run_command([os.fspath(argument) for argument in arguments])
    return Ended(code, out.getvalue(), err.getvalue())


def make_device(device: Path, source: Path, profile: Path, *, runs: int = 1, seal: bool = True) -> Path:
    """A device that holds a source."""
    device.mkdir()
    assert transfer("prepare", device, "--profile", profile, "--job", "test", "-q").code == 0
    for _ in range(runs):
        copy_to(device, source)
    if seal:
        assert transfer("seal", device, "-q").code == 0
    return device


def copy_to(device: Path, source: Path, *arguments: str) -> None:
    """Copy once more."""
    ended = transfer("copy", source, device, "-q", *arguments)
    assert ended.code in (0, 3), ended.stderr


def import_to(bucket: Bucket, device: Path, report: Path | None, *arguments: str, prefix: str = "") -> Ended:
    """Import a device into a bucket, in this process, and read its report."""
    told = ["--report", os.fspath(report)] if report is not None else []
    command = import_command(bucket, device, *told, *arguments, prefix=prefix)
    ended = transfer(*command, environment=bucket.environment())
    assert "Traceback" not in ended.stderr
    return read_report(ended, report)


def import_command(bucket: Bucket, device: Path, *arguments: str, prefix: str = "") -> list[str]:
    """The arguments of an import."""
    place = f"s3://{bucket.name}/{prefix}"
    endpoint = ["--endpoint-url", bucket.server.endpoint_url]
    return ["import", os.fspath(device), place, *endpoint, "--no-progress", "--workers", "2", *arguments]


def start_import(bucket: Bucket, device: Path, *arguments: str) -> subprocess.Popen[str]:
    """An import in a process of its own."""
    return subprocess.Popen(
        [program("transfer"), *import_command(bucket, device, *arguments)],
        env={**os.environ, **bucket.environment()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_report(ended: Ended, report: Path | None) -> Ended:
    """Add the files of a report directory."""
    if report is not None and (report / "report.json").exists():
        ended.report = json.loads((report / "report.json").read_bytes())
        ended.succeeded = read_rows(report / "success.csv")
        ended.failed = read_rows(report / "failure.csv")
    return ended


def read_rows(path: Path) -> dict[str, dict[str, str]]:
    """The lines of a CSV file by key, read by the csv module."""
    with path.open(newline="", encoding="utf-8") as file:
        return {row["key"]: row for row in csv.DictReader(file)}


def files_of(source: Path, prefix: str = "") -> dict[str, bytes]:
    """Each regular file below a folder that UTF-8 can name, by its key."""
    found: dict[str, bytes] = {}
    for folder, _, names in os.walk(source):
        for name in names:
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                found[prefix + path.relative_to(source).as_posix()] = path.read_bytes()
    return found
