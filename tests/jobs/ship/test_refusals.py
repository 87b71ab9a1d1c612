"""What cannot be shipped is refused, with nothing touched."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.jobs.ship.docking import MIB, assert_docked, content, make
from tests.jobs.shipment import transfer
from tests.simulators.disks import Disk, tmpfs
from transfer.device.layout import Layout
from transfer.device.lock import locked
from transfer.jobs.ship.dock import Dock


def test_a_full_dock_is_said_before_and_when_it_comes(
    device: Path, pristine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tmpfs(4 * MIB) as disk:
        dock, ballast = Path(disk.path), Path(disk.path) / "ballast"
        ballast.write_bytes(bytes(3 * MIB + 700_000))
        for rehearsal in (["--dry-run"], []):
            ended = transfer("ship", device, dock, *rehearsal)
            assert (ended.code, "the device needs" in ended.stderr) == (13, True)
            assert not (dock / "survey").exists()
        with monkeypatch.context() as patch:
            patch.setattr(Dock, "free_bytes", lambda dock: 1 << 40)  # somebody else was quicker
            ended = transfer("ship", "--move", device, dock)
        assert ended.code == 13
        assert f"the disk of dock {dock} is full" in ended.stderr
        assert not (dock / "survey").exists()
        assert content(device) == content(pristine)
        ballast.unlink()
        assert transfer("ship", "--move", device, dock).code == 0
        assert_docked(dock, pristine)


def test_a_dock_that_cannot_be_written_is_refused(device: Path, elsewhere: Disk) -> None:
    elsewhere.make_read_only()
    for rehearsal in (["--dry-run"], []):
        ended = transfer("ship", device, elsewhere.path, *rehearsal)
        assert (ended.code, "is mounted read-only" in ended.stderr) == (10, True)


def test_a_device_that_cannot_be_written_is_copied_but_not_moved(
    pristine: Path, elsewhere: Disk, dock: Path
) -> None:
    device = Path(shutil.copytree(pristine, Path(elsewhere.path) / "ssd"))
    elsewhere.make_read_only()
    ended = transfer("ship", "--move", device, dock)
    assert (ended.code, "is mounted read-only" in ended.stderr) == (10, True)
    assert transfer("ship", device, dock).code == 0
    assert_docked(dock, pristine)


def test_places_that_make_no_sense_are_refused(
    device: Path, dock: Path, pristine: Path, tmp_path: Path
) -> None:
    (device / "packs/dock").mkdir()
    inside = dock / "parked"
    shutil.copytree(pristine, inside)
    for source, target, code, what in (
        (device, device, 2, "is a device, not a dock"),
        (device, device / "packs/dock", 2, "is inside of the device"),
        (device, pristine, 2, "is a device, not a dock"),
        (inside, dock, 2, "is inside of the dock"),
        (device, tmp_path / "nowhere", 10, "does not exist"),
        (device, device / "SEAL.json", 10, "is not a folder"),
        (tmp_path / "nowhere", dock, 10, "no device at"),
        (dock, tmp_path, 10, "no device at"),
    ):
        ended = transfer("ship", source, target)
        assert (ended.code, what in ended.stderr) == (code, True), (source, target, ended.stderr)
    assert [path.name for path in dock.iterdir()] == ["parked"]


def test_something_else_of_that_name_is_left_alone(device: Path, dock: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for make_it in (
        lambda path: path.mkdir(),
        lambda path: path.write_text("a file"),
        lambda path: path.symlink_to(device),
    ):
        make_it(dock / "survey")
        ended = transfer("ship", device, dock)
        assert (ended.code, "is no sealed device" in ended.stderr) == (10, True)
        (shutil.move)(dock / "survey", tmp_path / "elsewhere")
        shutil.rmtree(tmp_path / "elsewhere")
        (tmp_path / "elsewhere").mkdir()
    device_id = json.loads((device / "DEVICE.json").read_bytes())["device_id"]
    (dock / f".arriving-{device_id}").symlink_to(tmp_path / "elsewhere")
    ended = transfer("ship", device, dock)
    assert (ended.code, "no record of a shipment" in ended.stderr) == (10, True)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def break_seal(device: Path) -> None:
    (device / "SEAL.json").write_bytes((device / "SEAL.json").read_bytes()[:-20])


def take_foreign_seal(device: Path) -> None:
    text = (device / "SEAL.json").read_text()
    (device / "SEAL.json").write_text(text.replace('"ordinal": 1', '"ordinal": 2'))


def replace_by_link(device: Path) -> None:
    pack = device / "packs/00000001.tar.zst"
    pack.rename(device.parent / "pack")
    pack.symlink_to(device.parent / "pack")


@pytest.mark.parametrize(
    ("harm", "code", "what"),
    [
        (lambda device: (device / "SEAL.json").unlink(), 10, "is not sealed"),
        (break_seal, 4, "SEAL.json"),
        (take_foreign_seal, 4, "is that of another device"),
        (lambda device: (device / "packs/00000001.tar.zst").unlink(), 4, "has no packs/00000001.tar.zst"),
        (replace_by_link, 4, "has no packs/00000001.tar.zst"),
        (lambda device: os.truncate(device / "segments/00000000.jsonl.zst", 9), 4, "has 9 bytes"),
        (lambda device: (device / "DEVICE.json").write_text("{}"), 4, "DEVICE.json"),
        (lambda device: (device / "DEVICE.json").unlink(), 10, "no device at"),
    ],
)
def test_a_device_that_cannot_travel_is_refused(
    harm: Callable[[Path], None], code: int, what: str, device: Path, dock: Path
) -> None:
    harm(device)
    ended = transfer("ship", device, dock, "--json")
    assert ended.document["error"]["exit_code"] == ended.code == code
    assert what in ended.stderr
    assert [path for path in dock.rglob("*") if path.suffix != ".lock" and path.name != ".tracking"] == []


def test_an_incomplete_device_travels_when_asked_to(site: Path, dock: Path) -> None:
    device = make(site, "incomplete")
    text = (device / "SEAL.json").read_text()
    (device / "SEAL.json").write_text(text.replace('"complete": true', '"complete": false'))
    ended = transfer("ship", device, dock)
    assert (ended.code, "is incomplete" in ended.stderr) == (10, True)
    assert transfer("ship", device, dock, "--incomplete").code == 0
    assert content(dock / "survey") == content(device)


def test_what_the_format_does_not_know_stays_behind(device: Path, dock: Path, pristine: Path) -> None:
    (device / "packs/link").symlink_to("/etc/passwd")
    (device / "CUSTODY.jsonl").unlink()
    (device / "CUSTODY.jsonl").symlink_to("/etc/passwd")
    (device / "parity").symlink_to("/etc")
    os.mkfifo(device / "keys")
    (device / "segments/00000000.jsonl.zst.partial").write_text("left")
    (device / "a\x1b[31m name").write_text("odd")
    (device / "lost+found").mkdir()
    (device / "SEAL.json.sig").write_text("signed")
    ended = transfer("ship", device, dock, "--json")
    assert ended.code == 0
    names = ["CUSTODY.jsonl", "a\\x1b[31m name", "keys", "packs/link", "parity"]
    assert ended.document["left_behind"] == [*names, "segments/00000000.jsonl.zst.partial"]
    whole = content(pristine) | {"SEAL.json.sig": b"signed"}
    del whole["CUSTODY.jsonl"]
    assert content(dock / "survey") == whole
    assert not any(path.is_symlink() for path in dock.rglob("*"))


def test_one_shipment_of_a_device_at_a_time(device: Path, dock: Path, pristine: Path) -> None:
    device_id = json.loads((device / "DEVICE.json").read_bytes())["device_id"]
    with Dock(str(dock)).exclusive(device_id):
        assert transfer("ship", device, dock).code == 11
    with locked(Layout(str(device)), "copy"):
        assert transfer("ship", "--move", device, dock).code == 11
    assert transfer("ship", "--move", device, dock).code == 0
    assert_docked(dock, pristine)


def test_a_broken_record_is_named(device: Path, dock: Path) -> None:
    assert transfer("ship", device, dock).code == 0
    (path,) = dock.glob(".tracking/*.json")
    good = path.read_text()
    for bad in (
        good.replace('"format_version": 1', '"format_version": 2'),
        good.replace('"in-transit"', '"docked"'),
        good.replace('"loaded": true', '"loaded": true, "more": 1'),
        good.replace('"source_base64": ""', '"source_base64": "/w=="'),
        good + " " * (1 << 20),
    ):
        path.write_text(bad)
        ended = transfer("ship", device, dock)
        assert (ended.code, str(path) in ended.stderr) == (4, True)


def test_a_rehearsal_writes_nothing(device: Path, dock: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in [*device.rglob("*"), dock]}
    for options in ([], ["--move"], ["--fault", "bitflip:2"]):
        ended = transfer("ship", device, dock, "--dry-run", "--json", *options)
        assert (ended.code, ended.document["outcome"]) == (0, "would-ship")
        assert len(ended.document["faults"]) == 2 * ("--fault" in options)
    assert {path: path.stat().st_mtime_ns for path in [*device.rglob("*"), dock]} == before


def test_names_need_not_be_utf8(pristine: Path, tmp_path: Path) -> None:
    device, dock = tmp_path / os.fsdecode(b"ssd \xff"), tmp_path / os.fsdecode(b"dock \xff")
    shutil.copytree(pristine, device)
    dock.mkdir()
    ended = transfer("ship", "--move", device, dock, "--json")
    assert ended.code == 0, ended.stderr
    assert ended.document["path"].endswith("dock \\xff/survey")
    assert assert_docked(dock, pristine).source_bytes == os.fsencode(device)
    assert transfer("ship", "--move", device, dock, "--json").document["outcome"] == "already-docked"
