"""Several devices filled at once: each a sorted part of the source, every file on one of them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.jobs.copy.copying import MIB, Done, findings, run, transfer_command
from tests.jobs.copy.test_span import assert_set_holds, device_of, fill
from tests.simulators.kills import files_exist, run_and_kill
from transfer.device.open_pack import OpenPack, Piece
from transfer.device.writer import DeviceWriter


@pytest.fixture
def filled(source: Path) -> Path:
    fill(source)
    os.link(source / "f1" / "1", source / "f7" / "link")
    return source


def stripe(source: Path, *devices: Path | str) -> Done:
    return run("copy", source, *devices, "-q", "--workers", "1", "--stripe")


def test_two_devices_are_filled_at_once(tmp_path: Path, filled: Path) -> None:
    devices = [device_of(tmp_path, ordinal, capacity=None) for ordinal in (1, 2)]
    done = run("copy", filled, *devices, "-q", "--workers", "1", "--stripe", "--bwlimit", "8M")
    assert done.code == 0, done.stderr
    parts = [one["bytes"] for one in done.document["devices"]]
    assert min(parts) > sum(parts) / 5
    again = stripe(filled, *devices)
    assert (again.code, again.document["entries"]) == (0, 0)
    (filled / "f3" / "2").write_bytes(b"changed")
    (filled / "f9").write_bytes(b"new")
    assert stripe(filled, *devices).document["files"] == 2
    assert_set_holds(filled, devices, tmp_path)


def test_full_stripes_go_on_on_other_devices(tmp_path: Path, filled: Path) -> None:
    devices = [device_of(tmp_path, ordinal) for ordinal in (1, 2, 3, 4)]
    first = stripe(filled, *devices[:2])
    assert first.code == 13, first.stderr
    for device in devices[:2]:
        assert run("seal", device).code == 0
    second = stripe(filled, *devices[2:])
    assert second.code == 0, second.stderr
    assert first.document["files"] + second.document["files"] == sum(
        len(files) for _, _, files in os.walk(filled)
    )
    assert_set_holds(filled, devices, tmp_path)


def test_killed_again_and_again(tmp_path: Path, filled: Path) -> None:
    devices = [device_of(tmp_path, ordinal, capacity=4 * MIB) for ordinal in (1, 2)]
    command = transfer_command(
        "copy", filled, *devices, "--stripe", "--workers", "1", "-q", "--bwlimit", "20M"
    )
    kills = 0
    for _ in range(20):
        have = sum(len(list((device / "segments").iterdir())) for device in devices)
        outcome = run_and_kill(command, files_exist(f"{tmp_path}/device */segments/*.zst", have + 4))
        if not outcome.killed:
            break
        kills += 1
    assert outcome.returncode == 0
    assert kills
    assert_set_holds(filled, devices, tmp_path)


def test_a_disk_that_is_full_before_its_time(
    tmp_path: Path, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = [device_of(tmp_path, ordinal, capacity=None) for ordinal in (1, 2)]
    append = OpenPack.append

    def failing(self: OpenPack, piece: Piece) -> None:
        if self.path.startswith(os.fspath(devices[1])) and self.path.endswith("2.tar.zst"):
            raise OSError(errno.ENOSPC, "full")
        append(self, piece)

    with monkeypatch.context() as patch:
        patch.setattr(OpenPack, "append", failing)
        assert stripe(filled, *devices, "--bwlimit", "8M").code == 13
    for device in devices:
        assert {finding.split(":")[0] for finding in findings(device)} <= {"incomplete"}
    plain = run("copy", filled, *devices, "-q")
    assert (plain.code, "--stripe" in plain.stderr) == (2, True)
    missing = stripe(filled, devices[0])
    assert (missing.code, "missing" in missing.stderr) == (2, True)
    assert stripe(filled, *devices).code == 0
    assert_set_holds(filled, devices, tmp_path)


def test_another_device_helps_one_whose_disk_stays_full(
    tmp_path: Path, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files on it are whole, and its run is ended when the others have taken the rest."""
    devices = [device_of(tmp_path, ordinal, capacity=None) for ordinal in (1, 2, 3)]
    append, room = OpenPack.append, DeviceWriter.room_bytes

    def failing(self: OpenPack, piece: Piece) -> None:
        if self.path.startswith(os.fspath(devices[1])) and self.path.endswith("2.tar.zst"):
            raise OSError(errno.ENOSPC, "full")
        append(self, piece)

    def room_now(self: DeviceWriter) -> int:
        return 0 if self.device.root == str(devices[1]) else room(self)

    monkeypatch.setattr(OpenPack, "append", failing)
    assert stripe(filled, *devices[:2], "--bwlimit", "8M").code == 13
    monkeypatch.setattr(DeviceWriter, "room_bytes", room_now)
    assert stripe(filled, *devices, "--bwlimit", "8M").code == 0
    assert_set_holds(filled, devices, tmp_path)
