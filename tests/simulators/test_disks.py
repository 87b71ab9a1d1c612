"""disks: they hold, fill, turn read-only, lose power and come back as real ones, and leave nothing behind."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.simulators import disks
from tests.simulators.disks import Disk, exfat_image, ext4_image, tmpfs, vfat_image

SIZE = 24 << 20
MAKERS = [tmpfs, ext4_image, vfat_image, exfat_image]
Maker = Callable[[int], AbstractContextManager[Disk]]


def write_synced(path: str, content: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(file, content)
    os.fsync(file)
    os.close(file)
    parent = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(parent)
    os.close(parent)


def leftovers() -> str:
    loops = subprocess.run(
        ["losetup", "--noheadings", "--output", "BACK-FILE"], capture_output=True, check=True
    )
    return Path("/proc/self/mounts").read_text() + loops.stdout.decode()


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_holds_files_and_leaves_nothing_behind(make: Maker) -> None:
    with make(SIZE) as disk:
        write_synced(disk.path + "/file.partial", b"content")
        os.rename(disk.path + "/file.partial", disk.path + "/file")
        assert os.listdir(disk.path).count("file") == 1
        assert Path(disk.path, "file").read_bytes() == b"content"
        assert disk.is_mounted
    assert not os.path.exists(disk.path)
    assert os.path.dirname(disk.path) not in leftovers()


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_is_full_at_its_size(make: Maker) -> None:
    with make(SIZE) as disk:
        written = 0
        with pytest.raises(OSError) as failure, open(disk.path + "/big", "wb", buffering=0) as file:
            while written <= SIZE:
                written += file.write(bytes(1 << 18))
        full = {errno.ENOSPC, errno.EPERM} if make is vfat_image else {errno.ENOSPC}  # FUSE's FAT says EPERM
        assert failure.value.errno in full
        assert SIZE // 2 < written <= SIZE


@pytest.mark.parametrize("make", MAKERS[1:], ids=lambda make: make.__name__)
def test_pulled_and_plugged_in_again_it_holds_what_it_held(make: Maker) -> None:
    with make(SIZE) as disk:
        write_synced(disk.path + "/file", b"content")
        disk.pull()
        assert not disk.is_mounted
        assert os.listdir(disk.path) == []
        disk.plug_in()
        assert Path(disk.path, "file").read_bytes() == b"content"
    assert os.path.dirname(disk.path) not in leftovers()


def test_plugging_in_twice_is_refused() -> None:
    with tmpfs(SIZE) as disk, pytest.raises(ValueError, match="is mounted still"):
        disk.plug_in()


def test_error_inside_the_block_cleans_up_all_the_same() -> None:
    with pytest.raises(RuntimeError, match="inside"), ext4_image(SIZE) as disk:
        raise RuntimeError("inside")
    assert os.path.dirname(disk.path) not in leftovers()


def test_file_left_open_does_not_keep_the_disk() -> None:
    with ext4_image(SIZE) as disk:
        file = os.open(disk.path + "/file", os.O_WRONLY | os.O_CREAT)
    assert not os.path.exists(disk.path)
    os.close(file)
    assert os.path.dirname(disk.path) not in leftovers()


def test_ext4_turned_read_only_fails_open_files_as_well() -> None:
    with ext4_image(SIZE) as disk:
        write_synced(disk.path + "/before", b"content")
        file = os.open(disk.path + "/open", os.O_WRONLY | os.O_CREAT)
        disk.make_read_only()
        for attempt in (lambda: os.write(file, b"more"), lambda: os.mkdir(disk.path + "/new")):
            with pytest.raises(OSError) as failure:
                attempt()
            assert failure.value.errno == errno.EROFS
        os.close(file)
        assert Path(disk.path, "before").read_bytes() == b"content"


def test_tmpfs_turns_read_only_and_back() -> None:
    with tmpfs(SIZE) as disk:
        disk.make_read_only()
        with pytest.raises(OSError) as failure:
            os.mkdir(disk.path + "/new")
        assert failure.value.errno == errno.EROFS
        disk.make_writable()
        write_synced(disk.path + "/new", b"content")


def test_power_cut_fails_all_access_and_loses_what_was_not_synced() -> None:
    with ext4_image(SIZE) as disk:
        write_synced(disk.path + "/synced", b"content")
        file = os.open(disk.path + "/not synced", os.O_WRONLY | os.O_CREAT)
        os.write(file, b"in the page cache")
        disk.cut_power()
        for attempt in (lambda: os.write(file, b"more"), lambda: os.fsync(file)):
            with pytest.raises(OSError) as failure:
                attempt()
            assert failure.value.errno == errno.EIO
        os.close(file)
        disk.plug_in()
        assert Path(disk.path, "synced").read_bytes() == b"content"
        assert not os.path.exists(disk.path + "/not synced")


def test_power_cut_shows_a_rename_before_its_data() -> None:
    """What FORMAT.md §13 is for: a name that was synced by its directory only, over data that was not."""
    with ext4_image(SIZE) as disk:
        with open(disk.path + "/file.partial", "wb") as file:
            file.write(b"x" * 100_000)
        os.rename(disk.path + "/file.partial", disk.path + "/file")
        write_synced(disk.path + "/other", b"")  # its fsync commits the journal, the rename in it
        disk.cut_power()
        disk.plug_in()
        assert os.path.getsize(disk.path + "/file") == 0


def test_power_of_other_kinds_cannot_be_cut() -> None:
    with tmpfs(SIZE) as disk, pytest.raises(ValueError, match="ext4 only"):
        disk.cut_power()


def test_without_root_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disks.os, "geteuid", lambda: 1000)
    for make in MAKERS:
        with pytest.raises(PermissionError, match="takes root"), make(SIZE):
            pass
