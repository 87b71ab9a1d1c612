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
    merged,
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
    assert findings(device) == set()
    code, _ = recover(device, out)
    restored = {path.name for path in out.rglob("*") if path.is_file()}
    names = {path.name for path in source.rglob("*") if path.is_file()}
    assert code == 0
    assert restored
    assert len(names - restored) == done.document["left_files"] > 0
    wrong = unlike(source, out, directory_times=False)
    assert [line for line in wrong if "is missing" not in line] == []
    again = copy(source, device)
    assert (again.code, again.document["left_files"]) == (13, done.document["left_files"])
    assert run("seal", device).code == 0
    assert findings(device) == set()


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


def test_a_file_larger_than_the_device_is_refused_by_name(tmp_path: Path, source: Path) -> None:
    device = prepared(tmp_path / "device", capacity_bytes=5 * MIB)
    (source / "a").write_bytes(b"before")
    large_file(os.fsencode(source / "large"), 20 * MIB, seed=1)
    (source / "z").write_bytes(b"behind")
    for _ in range(2):
        done = copy(source, device)
        assert (done.code, done.problems) == (3, {"large": "too-large"})
    code, _ = recover(device, tmp_path / "out")
    assert code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a", "z"}
    assert findings(device) == set()


def test_a_large_file_that_does_not_fit_any_more_is_left_for_the_next_device(
    tmp_path: Path, source: Path
) -> None:
    device = prepared(tmp_path / "device", capacity_bytes=5 * MIB)
    fill(source, 2)
    large_file(os.fsencode(source / "z large"), 3 * MIB, seed=1)
    done = copy(source, device)
    assert (done.code, done.document["left_files"]) == (13, 1)
    assert findings(device) == set()
    assert merged(device) == {path.name: "file" for path in source.iterdir() if path.name != "z large"}


def test_a_sparse_file_needs_no_room_for_its_holes(tmp_path: Path, source: Path) -> None:
    device = prepared(tmp_path / "device", capacity_bytes=5 * MIB)
    (source / "sparse").write_bytes(b"begin")
    os.truncate(source / "sparse", 40 * MIB)
    assert copy(source, device).code == 0
    assert_holds(device, source, tmp_path / "out")


def test_a_file_that_turns_out_too_large_is_taken_back(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its stat says that it needs less room than it does, as on a file system that compresses."""
    monkeypatch.setattr("transfer.jobs.copy.plan.room_of", lambda status: 1)
    device = prepared(tmp_path / "device", capacity_bytes=5 * MIB)
    fill(source, 2)
    large_file(os.fsencode(source / "z large"), 3 * MIB, seed=1)
    done = copy(source, device)
    assert done.code == 13
    assert 0 < done.document["left_files"] < 17
    assert findings(device) == set()
    assert "z large" not in merged(device)


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
