"""Small devices, sealed and signed through the command line."""

from __future__ import annotations

import os
from pathlib import Path

from tests.jobs.shipment import Ended, make_device, transfer, write_profile

SIZES = {"pack_size": "512KiB", "chunk_size": "64KiB", "batch_size": "64KiB"}


def open_device(folder: Path, *, name: str = "device", size_bytes: int = 600_000) -> Path:
    """A device with a source of its own, not sealed."""
    source = folder / f"source of {name}"
    source.mkdir()
    (source / "small").write_bytes(b"some words")
    (source / "large").write_bytes(os.urandom(size_bytes))
    profile = write_profile(folder / "p.toml", **SIZES)
    return make_device(folder / name, source, profile, seal=False)


def seal(device: Path, *options: str | Path) -> Ended:
    """Seal it."""
    ended = transfer("seal", device, "--json", *options)
    assert ended.code == 0, ended.stdout + ended.stderr
    return ended


def verify(device: Path, *options: str | Path) -> Ended:
    """Verify it."""
    return transfer("verify", device, "--json", "--no-progress", *options)


def codes(ended: Ended) -> list[str]:
    """Of the findings of a verify."""
    assert ended.code == (4 if ended.document["findings"] else 0)
    return [finding["code"] for finding in ended.document["findings"]]
