"""What was done to a device on request is what verify finds."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from tests.jobs.ship.docking import assert_docked, content, faults, findings, tracking
from tests.jobs.shipment import transfer
from transfer.core.faults import Bitflip, LostPack, SwappedDevice, Truncation


def differences(device: Path, original: Path) -> dict[str, list[tuple[int, int]]]:
    """Offset and exclusive or of each byte that differs, by file, where the size is still the same."""
    found = {}
    there = content(device)
    for name, old in content(original).items():
        new = there.get(name, b"")
        if len(new) == len(old) and new != old and name != "DEVICE.json":
            found[name] = [(n, a ^ b) for n, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
    return found


@pytest.mark.parametrize(
    "asked",
    [
        ("bitflip:1",),
        ("bitflip:40",),
        ("truncate:3",),
        ("lose-pack:2",),
        ("swap-device",),
        ("bitflip:5", "lose-pack:1", "truncate:2", "delay:4"),
    ],
)
@pytest.mark.parametrize("seed", [7, 2026])
def test_what_the_carrier_did_is_what_verify_finds(
    asked: tuple[str, ...], seed: int, pristine: Path, dock: Path
) -> None:
    options = [word for fault in asked for word in ("--fault", fault)]
    assert transfer("ship", pristine, dock, "--seed", str(seed), *options).code == 0
    record, docked = faults(dock), dock / "survey"
    assert (record.seed, record.shipment_id) == (seed, tracking(dock).shipment_id)
    told = record.faults
    by_file: dict[str, list[tuple[int, int]]] = {}
    for flip in (fault for fault in told if isinstance(fault, Bitflip)):
        by_file.setdefault(flip.file, []).append((flip.offset, 1 << flip.bit))
    assert differences(docked, pristine) == by_file
    for fault in told:
        if isinstance(fault, Truncation):
            kept = (docked / fault.file).read_bytes()
            assert kept == (pristine / fault.file).read_bytes()[: fault.left_bytes]
            assert (pristine / fault.file).stat().st_size == fault.size_bytes
    lost = {fault.file for fault in told if isinstance(fault, LostPack)}
    assert content(pristine).keys() - content(docked).keys() == lost

    found = findings(docked)
    if swap := next((fault for fault in told if isinstance(fault, SwappedDevice)), None):
        assert json.loads((docked / "DEVICE.json").read_bytes())["device_id"] == swap.after
        assert "seal-foreign" in {finding["code"] for finding in found}
        return
    hit = {fault.file for fault in told if not isinstance(fault, SwappedDevice) and hasattr(fault, "file")}
    assert {finding["file"] for finding in found} == hit
    assert {finding["file"] for finding in found if finding["code"] == "pack-missing"} == lost
    cut = {finding["file"] for finding in found if finding["code"] == "pack-truncated"}
    assert cut == {f.file for f in told if isinstance(f, Truncation) and f.file.startswith("packs/")}


def test_the_same_seed_hits_the_same_places(pristine: Path, tmp_path: Path) -> None:
    records = []
    for number, seed in enumerate(["3", "3", "4"]):
        dock = tmp_path / f"dock {number}"
        dock.mkdir()
        assert transfer("ship", pristine, dock, "--fault", "bitflip:4", "--seed", seed).code == 0
        records.append(faults(dock).faults)
    assert records[0] == records[1] != records[2]


def test_a_delay_adds_days_and_harms_nothing(pristine: Path, dock: Path) -> None:
    assert (
        transfer("ship", pristine, dock, "--days", "5", "--fault", "delay:3", "--fault", "delay:1").code == 0
    )
    record = assert_docked(dock, pristine)
    in_transit, delivered = record.events[2:4]
    assert delivered.simulated - in_transit.simulated == timedelta(days=9)


def test_a_record_of_faults_does_not_outlive_its_shipment(pristine: Path, dock: Path) -> None:
    assert transfer("ship", pristine, dock, "--fault", "lose-pack:1").code == 0
    shutil.rmtree(dock / "survey")
    assert transfer("ship", pristine, dock).code == 0
    assert list(dock.glob(".tracking/*.faults.json")) == []
    assert_docked(dock, pristine)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--fault", "lose-pack:6"], "more than the 5 files"),
        (["--fault", "flood"], "'flood' is no fault"),
        (["--fault", "bitflip:1", "--move"], "would damage the only copy"),
    ],
)
def test_a_drill_that_cannot_be_is_refused_before_anything(
    options: list[str], what: str, pristine: Path, dock: Path
) -> None:
    ended = transfer("ship", pristine, dock, *options)
    assert (ended.code, what in ended.stderr) == (2, True)
    assert [path for path in dock.rglob("*") if path.suffix != ".lock" and path.name != ".tracking"] == []
