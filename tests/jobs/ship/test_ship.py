"""ship: the device comes whole, by any way, its record tells when; days take as long as they are said to."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.jobs.ship.docking import TRANSFER, assert_docked, content, findings, make, tracking
from tests.jobs.shipment import transfer
from tests.simulators.disks import Disk
from transfer.jobs.ship.job import Shipment
from transfer.jobs.ship.options import ShipOptions


def test_a_device_comes_whole_and_the_record_tells_its_way(device: Path, dock: Path, pristine: Path) -> None:
    ended = transfer("ship", device, dock, "--json")
    assert ended.code == 0
    record = assert_docked(dock, pristine)
    assert content(device) == content(pristine)
    states = {event.state: event for event in record.events}
    assert list(states) == ["prepared", "with-customer", "in-transit", "delivered", "docked"]
    written = json.loads((device / "DEVICE.json").read_bytes())
    assert states["prepared"].simulated == datetime.fromisoformat(written["created"])
    assert states["delivered"].simulated - states["in-transit"].simulated == timedelta(days=2)
    assert states["docked"].simulated >= states["delivered"].simulated == record.due
    assert states["docked"].real - states["in-transit"].real < timedelta(minutes=1)
    assert (record.files, record.size_bytes) == (
        len(content(pristine)),
        sum(map(len, content(pristine).values())),
    )
    assert ended.document["outcome"] == "docked"
    assert ended.document["carried_bytes"] == record.size_bytes
    assert ended.document["tracking"]["shipment_id"] == record.shipment_id
    assert os.access(dock / "survey/recover.sh", os.X_OK)


def test_in_plain_text_the_way_is_a_table(device: Path, dock: Path) -> None:
    shown = transfer("ship", device, dock, "--fault", "delay:3", "--fault", "bitflip:2", "--seed", "5").stdout
    assert f"shipped {device} to {dock}/survey\n" in shown
    assert "2 days on the way and 3 of delay" in shown
    assert "on request: delay:3 bitflip:2, seed 5" in shown
    assert [line.split()[0] for line in shown.splitlines()[-5:]] == [
        "prepared",
        "with-customer",
        "in-transit",
        "delivered",
        "docked",
    ]
    assert "InTransitToAWS" in shown


@pytest.mark.parametrize("move", [False, True])
def test_what_is_docked_is_left_alone(move: bool, device: Path, dock: Path, pristine: Path) -> None:
    assert transfer("ship", device, dock).code == 0
    before = {path: path.stat().st_mtime_ns for path in dock.rglob("*")}
    ended = transfer("ship", device, dock, *["--move"] * move, "--json")
    assert (ended.code, ended.document["outcome"]) == (0, "already-docked")
    assert {path: path.stat().st_mtime_ns for path in dock.rglob("*")} == before
    assert content(device) == content(pristine)
    assert transfer("ship", dock / "survey", dock).stdout.startswith(f"{dock}/survey is docked already")


def test_a_device_that_was_carried_by_hand_is_docked_too(device: Path, dock: Path) -> None:
    shutil.copytree(device, dock / "survey")
    ended = transfer("ship", device, dock)
    assert ended.code == 0
    assert "by other ways" in ended.stdout
    assert [path.name for path in dock.iterdir()] == ["survey"]


def test_two_devices_of_a_job_stand_side_by_side(
    site: Path, device: Path, dock: Path, pristine: Path
) -> None:
    second = make(site, "second", "--ordinal", "2")
    for each in (device, second):
        assert transfer("ship", each, dock).code == 0
    assert sorted(path.name for path in dock.iterdir()) == [".tracking", "survey", "survey-2"]
    assert content(dock / "survey-2") == content(second)
    assert findings(dock / "survey-2") == []
    other = make(site, "namesake", "--ordinal", "1")
    refused = transfer("ship", other, dock)
    assert (refused.code, "is another device" in refused.stderr) == (10, True)
    assert content(dock / "survey") == content(pristine)


def test_a_move_on_one_disk_renames(device: Path, dock: Path, pristine: Path) -> None:
    inodes = {path.stat().st_ino for path in device.glob("packs/*")}
    ended = transfer("ship", "--move", device, dock)
    assert ended.code == 0, ended.stderr
    record = assert_docked(dock, pristine)
    assert (record.carried_by, record.source_removed) == ("rename", True)
    assert {path.stat().st_ino for path in dock.glob("survey/packs/*")} == inodes
    assert not device.exists()
    again = transfer("ship", "--move", device, dock)
    assert (again.code, "is docked already" in again.stdout) == (0, True)


def test_a_move_to_another_disk_copies_compares_and_removes(
    device: Path, elsewhere: Disk, pristine: Path
) -> None:
    (device / "thesis.doc").write_text("not ours")
    ended = transfer("ship", "--move", device, elsewhere.path)
    assert ended.code == 0, ended.stderr
    record = assert_docked(Path(elsewhere.path), pristine)
    assert (record.carried_by, record.source_removed) == ("copy", True)
    assert [path.name for path in device.iterdir()] == ["thesis.doc"]
    assert "left behind: thesis.doc" in ended.stderr


def test_one_disk_that_is_mounted_twice_is_copied(
    device: Path, dock: Path, pristine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def across(old: str, new: str) -> None:
        if str(old).startswith(str(device)):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(old, new)

    monkeypatch.setattr(os, "rename", across)
    assert transfer("ship", "--move", device, dock).code == 0
    assert assert_docked(dock, pristine).carried_by == "copy"
    assert not device.exists()


def test_a_copy_that_came_out_wrong_is_brought_again_and_the_original_stays(
    device: Path, elsewhere: Disk, pristine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arriving = Path(elsewhere.path)
    with monkeypatch.context() as patch:
        fsync = os.fsync

        def decay(descriptor: int) -> None:
            if os.readlink(f"/proc/self/fd/{descriptor}").endswith("00000002.tar.zst.partial"):
                os.pwrite(descriptor, b"\0" * 8, 1_000)
            fsync(descriptor)

        patch.setattr(os, "fsync", decay)
        ended = transfer("ship", "--move", device, elsewhere.path)
    assert ended.code == 4
    assert "packs/00000002.tar.zst" in ended.stderr
    assert content(device) == content(pristine)
    assert not (arriving / "survey").exists()
    assert transfer("ship", "--move", device, elsewhere.path).code == 0
    assert_docked(arriving, pristine)


def test_days_pass_in_their_length(device: Path, dock: Path) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    slept: list[float] = []
    notes: list[str] = []

    def sleep(duration_s: float) -> None:
        nonlocal now
        slept.append(duration_s)
        now += timedelta(seconds=duration_s)

    options = ShipOptions(days=3, day_length_s=10.0)
    Shipment(str(device), str(dock), options, note=notes.append, sleep=sleep, now=lambda: now).run()
    assert slept == [10, 10, 10]
    assert notes == [f"in transit, day {day} of 3" for day in (1, 2, 3)]
    delivered = tracking(dock).events[3]
    assert (delivered.simulated.day, delivered.real.second) == (4, 30)


def test_interrupted_on_its_way_it_goes_on(device: Path, dock: Path, pristine: Path) -> None:
    command = [*TRANSFER, "ship", device, dock, "--day-length", "1000", "--no-progress"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process, process.stderr:
        assert process.stderr.readline() == "in transit, day 1 of 2\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert "interrupted" in process.stderr.read()
    assert not (dock / "survey").exists()
    assert tracking(dock).state == "in-transit"
    refused = transfer("ship", device, dock, "--days", "9")
    assert (refused.code, "with --days 2, not 9" in refused.stderr) == (2, True)
    rehearsed = transfer("ship", device, dock, "--dry-run", "--json")
    assert rehearsed.document["tracking"]["events"][-1]["state"] == "in-transit"
    shutil.rmtree(device)  # it is in the carrier's hands: the original is not needed any more
    ended = transfer("ship", device, dock)
    assert ended.code == 0, ended.stderr
    assert_docked(dock, pristine)


def test_without_knowing_the_profile_the_days_have_to_be_said(device: Path, dock: Path) -> None:
    named = json.loads((device / "DEVICE.json").read_bytes()) | {"profile": "/etc/disk.toml"}
    text = json.dumps(named).encode()
    (device / "DEVICE.json").write_bytes(text)
    closed = json.loads((device / "SEAL.json").read_bytes())
    closed["files"][0]["size_bytes"] = len(text)
    (device / "SEAL.json").write_text(json.dumps(closed))
    ended = transfer("ship", device, dock)
    assert (ended.code, "'/etc/disk.toml'" in ended.stderr, "say --days" in ended.stderr) == (2, True, True)
    assert transfer("ship", device, dock, "--days", "1").code == 0
