"""A device that gets full, by its profile's capacity or because the disk is: copy stops in a committed state
and says how much is left; the device can be sealed and verified.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.jobs.copy.copying import (
    CHUNK,
    MIB,
    Done,
    assert_holds,
    copy,
    findings,
    packs,
    prepared,
    recover,
    run,
    unlike,
)
from tests.simulators.disks import Disk, ext4_image, tmpfs, vfat_image
from tests.simulators.trees import large_file, small_files


def fill(source: Path, mib: int) -> None:
    for number in range(mib * 16):
        (source / f"{number:04}").write_bytes(os.urandom(CHUNK - 512))


def assert_full_and_sound(source: Path, device: Path, done: Done, out: Path) -> None:
    """Stopped with code 13; the rest was counted right; what is there is whole; it can be sealed."""
    assert done.code == 13
    assert "is full" in done.stderr
    assert "left" in done.stderr
    assert {finding.split(":")[0] for finding in findings(device)} <= {"incomplete"}
    code, _ = recover(device, out)
    restored = {path.name for path in out.rglob("*") if path.is_file()}
    names = {path.name for path in source.rglob("*") if path.is_file()}
    whole = restored if code == 0 else {name for name in restored if name != max(restored)}
    assert whole
    assert len(names - whole) == done.document["left_files"] > 0
    wrong = unlike(source, out, directory_times=False)
    assert [line for line in wrong if "is missing" not in line and code == 0] == []
    again = copy(source, device)
    assert (again.code, again.document["left_files"]) == (13, done.document["left_files"])
    assert run("seal", device).code == 10
    assert run("seal", device, "--incomplete").code == 0
    assert {finding.split(":")[0] for finding in findings(device)} <= {"incomplete"}


def test_the_capacity_is_kept_to(tmp_path: Path, source: Path) -> None:
    device = prepared(tmp_path / "device", capacity_bytes=5 * MIB)
    fill(source, 8)
    done = copy(source, device)
    assert sum(path.stat().st_size for path in device.rglob("*") if path.name != "RESERVE") <= 4 * MIB + 65536
    assert done.document["left_bytes"] == done.document["left_files"] * (CHUNK - 512)
    assert_full_and_sound(source, device, done, tmp_path / "out")
    assert sum(path.stat().st_size for path in device.rglob("*")) <= 5 * MIB


def test_a_source_that_just_fits_is_no_failure(tmp_path: Path, source: Path) -> None:
    device = prepared(tmp_path / "device", capacity_bytes=5 * MIB)
    fill(source, 3)
    assert copy(source, device).code == 0
    assert copy(source, device).code == 0
    assert_holds(device, source, tmp_path / "out")


def test_a_file_larger_than_the_rest_of_the_device_is_cut_off(tmp_path: Path, source: Path) -> None:
    device = prepared(tmp_path / "device", capacity_bytes=5 * MIB)
    (source / "a").write_bytes(b"before")
    large_file(os.fsencode(source / "large"), 20 * MIB, seed=1)
    done = copy(source, device)
    assert (done.code, done.document["left_files"]) == (13, 1)
    assert done.document["left_bytes"] < 17 * MIB
    code, said = recover(device, tmp_path / "out")
    assert (code, "in the middle of a file" in said) == (1, True)
    assert (tmp_path / "out" / "a").read_bytes() == b"before"
    assert findings(device) == {f"incomplete:  run 1 of {source} did not end"}


def test_a_large_file_that_begins_in_the_last_pack_is_left_for_the_next_device(
    tmp_path: Path, source: Path
) -> None:
    device = prepared(tmp_path / "device", capacity_bytes=5 * MIB)
    fill(source, 3)
    large_file(os.fsencode(source / "z large"), 4 * MIB, seed=1)
    os.truncate(source / "z large", 4 * MIB)
    done = copy(source, device)
    assert done.code == 13
    assert {finding.split(":")[0] for finding in findings(device)} <= {"incomplete"}


Image = Callable[[int], AbstractContextManager[Disk]]


@pytest.mark.parametrize("image", [tmpfs, ext4_image])
@pytest.mark.parametrize("kind", ["small", "large"])
def test_a_disk_without_room_stops_cleanly(tmp_path: Path, source: Path, image: Image, kind: str) -> None:
    if kind == "small":
        fill(source, 24)
    else:
        for number in range(6):
            large_file(os.fsencode(source / f"large {number}"), 4 * MIB, seed=number)
    with image(16 * MIB) as disk:
        device = prepared(Path(disk.path))
        done = copy(source, device)
        assert_full_and_sound(source, device, done, tmp_path / "out")


def test_a_disk_that_others_fill_meanwhile(tmp_path: Path, source: Path) -> None:
    fill(source, 6)
    with tmpfs(16 * MIB) as disk:
        device = prepared(Path(disk.path))
        ballast = device / "somebody's file"
        ballast.write_bytes(bytes(13 * MIB))
        done = copy(source, device)
        assert done.code == 13
        assert 0 < len(packs(device)) < 7
        ballast.unlink()
        assert copy(source, device).code == 0
        assert_holds(device, source, tmp_path / "out")


def test_a_fat_disk_takes_a_whole_copy(tmp_path: Path, source: Path) -> None:
    small_files(os.fsencode(source), 300, seed=1)
    large_file(os.fsencode(source / "large"), 3 * MIB, seed=1)
    os.symlink("large", source / "link")
    with vfat_image(32 * MIB) as disk:
        device = prepared(Path(disk.path))
        assert copy(source, device).code == 0
        assert_holds(device, source, tmp_path / "out")
        assert run("seal", device).code == 0
        shutil.copytree(device, tmp_path / "carried")
    assert findings(tmp_path / "carried") == set()
