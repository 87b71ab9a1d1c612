"""Several devices filled at once: each a sorted part of the source, every file on one of them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
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


def pairs_of(place: Path, ordinals: Iterable[int], capacity: int) -> list[list[Path]]:
    return [
        [device_of(place, ordinal, capacity=capacity, name=f"{ordinal}{twin}") for twin in "ab"]
        for ordinal in ordinals
    ]


def contents(device: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (device / "packs").iterdir()}


def test_stripes_of_twins_killed_again_and_again(tmp_path: Path, filled: Path) -> None:
    pairs = pairs_of(tmp_path, (1, 2), 4 * MIB)
    devices = [device for pair in pairs for device in pair]
    command = transfer_command(
        "copy", filled, *devices, "--stripe", "--copies", "2", "--workers", "1", "-q", "--bwlimit", "20M"
    )
    kills = 0
    for _ in range(20):
        have = sum(len(list((device / "segments").iterdir())) for device in devices)
        outcome = run_and_kill(command, files_exist(f"{tmp_path}/??/segments/*.zst", have + 6))
        if not outcome.killed:
            break
        kills += 1
    assert outcome.returncode == 0
    assert kills
    assert all(contents(first) == contents(second) for first, second in pairs)
    assert_set_holds(filled, [first for first, _ in pairs], tmp_path)


def test_full_stripes_of_twins_go_on_on_other_pairs(tmp_path: Path, filled: Path) -> None:
    pairs = pairs_of(tmp_path, (1, 2, 3, 4), 2 * MIB)
    done = [stripe(filled, *pairs[at], *pairs[at + 1], "--copies", "2") for at in (0, 2)]
    assert [one.code for one in done] == [13, 0], done
    assert all(first["twins"] == 2 for one in done for first in one.document["devices"])
    assert all(contents(first) == contents(second) for first, second in pairs)
    assert_set_holds(filled, [second for _, second in pairs], tmp_path)


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
