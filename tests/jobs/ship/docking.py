"""Devices to ship, and what is in a dock."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.jobs.shipment import transfer
from transfer.formats.tracking import FaultsDocument, TrackingDocument, decode_faults, decode_tracking

MIB = 1 << 20
PACKS = 5
TRANSFER = [sys.executable, "-m", "transfer.cli"]


def make(site: Path, name: str, *options: str, source: str = "source") -> Path:
    device = site / name
    device.mkdir()
    profile = site / "small.toml"
    assert transfer("prepare", device, "--profile", profile, "--job", "survey", *options).code == 0
    copied = transfer("copy", site / source, device, "-q")
    assert copied.code == 0, copied.stderr
    assert transfer("seal", device).code == 0
    return device


def content(root: Path) -> dict[str, bytes]:
    """Every file beneath a folder, but the locks."""
    files = (path for path in root.rglob("*") if path.is_file() and path.suffix not in (".lock", ".partial"))
    return {str(path.relative_to(root)): path.read_bytes() for path in files if path.name != "LOCK"}


def tracking(dock: Path) -> TrackingDocument:
    (path,) = (path for path in dock.glob(".tracking/*.json") if not path.name.endswith(".faults.json"))
    return decode_tracking(path.read_bytes(), str(path))


def faults(dock: Path) -> FaultsDocument:
    (path,) = dock.glob(".tracking/*.faults.json")
    return decode_faults(path.read_bytes(), str(path))


def findings(device: Path) -> list[dict[str, Any]]:
    ended = transfer("verify", device, "--json", "-q")
    found: list[dict[str, Any]] = ended.document["findings"]
    assert ended.code == (4 if found else 0)
    return found


def assert_docked(dock: Path, pristine: Path, name: str = "survey") -> TrackingDocument:
    """The device is there, byte by byte, and nothing is left of its being brought."""
    assert content(dock / name) == content(pristine)
    assert findings(dock / name) == []
    assert list(dock.glob(".arriving*")) == []
    assert not list(dock.rglob("*.partial"))
    record = tracking(dock)
    assert (record.state, record.loaded, record.folder) == ("docked", True, name)
    return record
