"""Encrypted devices, made through the command line for keys of age, read back with stock tools."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pyrage

from tests.jobs.shipment import copy_to, transfer
from tests.tools import require_tool
from transfer.cli.unlocking import read_keys
from transfer.device.encryption import Keys


@dataclass(frozen=True)
class Key:
    """A key of the destination: the file of its secret half, and its public half."""

    path: Path
    recipient: str


def age_key(folder: Path, name: str = "age.key") -> Key:
    """What `age-keygen` makes."""
    path = folder / name
    subprocess.run([require_tool("age-keygen"), "-o", path], check=True, capture_output=True)
    done = subprocess.run(
        [require_tool("age-keygen"), "-y", path], check=True, capture_output=True, text=True
    )
    return Key(path, done.stdout.strip())


def keys_of(key: Key) -> Keys:
    """As the command line gives them."""
    return read_keys([os.fspath(key.path)])


def make_encrypted(
    device: Path, source: Path, profile: Path, key: Key, *options: str, seal: bool = True
) -> Path:
    """A device for a key that holds a source."""
    device.mkdir(exist_ok=True)
    job = ("--job", "test", "-q")
    assert transfer("prepare", device, "--profile", profile, *job, "-r", key.recipient, *options).code == 0
    copy_to(device, source, "--xattrs")
    if seal:
        assert transfer("seal", device, "-q").code == 0
    return device


def restore_by_hand(device: Path, key: Path, to: Path) -> Path:
    """Restore as ENCRYPTED.txt says, with age, zstd and tar alone."""
    to.mkdir()
    job_key = to.with_name(to.name + " job.key")
    age, zstd, tar = (shlex.quote(require_tool(name)) for name in ("age", "zstd", "tar"))
    script = f"""
        set -eo pipefail
        {age} -d -i "$1" keys/job.age > "$2"
        for pack in packs/*; do {age} -d -i "$2" "$pack"; done | {zstd} -dcq |
            {tar} xip --xattrs --xattrs-include='*' --warning=no-timestamp -C "$3"
    """
    done = subprocess.run(
        ["bash", "-c", script, "bash", key, job_key, to],
        cwd=device,
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return to


def job_identity(device: Path, key: Key) -> pyrage.x25519.Identity:
    """What opens everything on the device, by the age program."""
    command: list[str | Path] = [require_tool("age"), "-d", "-i", key.path, device / "keys/job.age"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return pyrage.x25519.Identity.from_str(text.strip())


def segment_path(device: Path, number: int) -> Path:
    return device / f"segments/{number:08}.jsonl.zst.age"


def pack_path(device: Path, number: int) -> Path:
    return device / f"packs/{number:08}.tar.zst.age"
