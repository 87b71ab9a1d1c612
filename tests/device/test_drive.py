"""Which drive a folder is on: by the tables that Linux writes, and by a real mount."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from transfer.device import drive as drives
from transfer.device.drive import Drive, drive_of, erase_commands, mount_source

TABLE = r"""
22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
30 22 0:21 / /proc rw - proc proc rw
31 22 8:17 / /mnt/a rw,relatime shared:5 master:2 - ext4 /dev/sdb1 rw
32 31 259:1 /sub /mnt/a/inner rw - xfs /dev/nvme1n1p1 rw
33 22 0:50 / /mnt/with\040blank rw - exfat /dev/disk/by-label/with\040blank rw
34 22 8:33 / /mnt/twice rw - ext4 /dev/sdc1 rw
35 34 8:49 / /mnt/twice rw - ext4 /dev/sdd1 rw
36 22 0:60 / /mnt/net rw - nfs4 server:/export rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("/", "/dev/sda2"),
        ("/mnt/ab", "/dev/sda2"),
        ("/mnt/a", "/dev/sdb1"),
        ("/mnt/a/deep/er", "/dev/sdb1"),
        ("/mnt/a/inner/x", "/dev/nvme1n1p1"),
        ("/mnt/with blank/x", "/dev/disk/by-label/with blank"),
        ("/mnt/twice", "/dev/sdd1"),
        ("/mnt/net/x", "server:/export"),
    ],
)
def test_what_is_mounted_where(path: str, source: str) -> None:
    assert mount_source(TABLE, path) == source


def test_a_real_folder(tmp_path: Path) -> None:
    """By stat(2), which mountinfo is not asked for."""
    found = drive_of(str(tmp_path))
    assert found.source
    if os.path.exists(found.source):
        assert os.stat(found.source).st_rdev == os.stat(tmp_path).st_dev
    assert drive_of("/proc").source == "proc"
    assert drive_of("/proc").disk == ""


def test_the_drive_of_the_system_is_never_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that is a folder on it, or on another partition of it; also where layers lie between."""
    blocks = tmp_path / "class"
    blocks.mkdir()
    for name, place in (("sda2", "pci/sda/sda2"), ("sda3", "pci/sda/sda3"), ("sdb1", "pci/sdb/sdb1")):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "partition").write_text("1")
        (blocks / name).symlink_to(tmp_path / place)
    (tmp_path / "virtual/dm-0/slaves/sda2").mkdir(parents=True)
    (blocks / "dm-0").symlink_to(tmp_path / "virtual/dm-0")
    mounts = tmp_path / "mounts"
    mounts.write_text("1 0 0:1 / / rw - ext4 /dev/dm-0 rw\n2 1 0:2 / /mnt rw - ext4 /dev/sda3 rw\n"
                      "3 1 0:3 / /media rw - ext4 /dev/sdb1 rw\n")  # fmt: skip
    monkeypatch.setattr(drives, "_MOUNTS", str(mounts))
    monkeypatch.setattr(drives, "_BLOCKS", str(blocks))
    real = {"/dev/sda3": "/dev/sda", "/dev/sdb1": "/dev/sdb"}
    monkeypatch.setattr(drives, "_drive", lambda source: Drive(source, real.get(source, "")))
    for path in ("/", "/srv/x", "/mnt/device"):
        assert drive_of(path).is_system
        assert erase_commands(drive_of(path)) == []
    assert drive_of("/media/x") == Drive("/dev/sdb1", "/dev/sdb")


def test_where_there_is_no_such_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(drives, "_MOUNTS", str(tmp_path / "none"))
    assert drive_of(str(tmp_path)) == Drive()
    assert all("/dev/DRIVE" in command for command in erase_commands(Drive()))


@pytest.mark.parametrize(
    ("place", "beside", "controller"),
    [
        ("pci0/nvme/nvme3/nvme1n1", [], "/dev/nvme3"),
        ("virtual/nvme-subsystem/nvme-subsys0/nvme0n1", ["nvme2"], "/dev/nvme2"),
        ("virtual/nvme-subsystem/nvme-subsys0/nvme0n1", ["nvme2", "nvme3"], ""),
        ("virtual/nvme-subsystem/nvme-subsys0/nvme0n1", [], ""),
        ("pci0/ata1/block/sda", [], ""),
    ],
)
def test_the_controller_is_never_guessed(
    tmp_path: Path, place: str, beside: list[str], controller: str
) -> None:
    """A namespace's number is not its controller's: a wrong guess would erase another drive."""
    (tmp_path / place).mkdir(parents=True)
    for name in beside:
        (tmp_path / place).with_name(name).mkdir()
    assert drives._controller(str(tmp_path / place)) == controller
    found = erase_commands(Drive("/dev/nvme0n1p1", "/dev/nvme0n1", "nvme", controller))
    assert found[0] == f"nvme sanitize {controller or '/dev/nvmeX'} --sanact=start-crypto-erase"
    assert "nvme format /dev/nvme0n1 --ses=2" in found


@pytest.mark.parametrize(("rotational", "kind"), [("1\n", "spinning"), ("0\n", "flash"), (None, "unknown")])
def test_the_kind_of_a_drive(tmp_path: Path, rotational: str | None, kind: str) -> None:
    if rotational is not None:
        (tmp_path / "queue").mkdir()
        (tmp_path / "queue/rotational").write_text(rotational)
    assert drives._kind("sda", str(tmp_path)) == kind
    found = erase_commands(Drive("/dev/sda1", "/dev/sda", kind))  # type: ignore[arg-type]
    assert "hdparm --yes-i-know-what-i-am-doing --sanitize-crypto-scramble /dev/sda" in found
    assert any("blkdiscard" in command for command in found) == (kind != "spinning")
