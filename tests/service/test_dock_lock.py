"""The lock of a dock, on file systems that take it in one way or another."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.simulators.disks import tmpfs
from transfer.errors import DeviceError, LockedError
from transfer.service.ingest.dock_lock import lock_dock
from transfer.service.ingest.presence import Presence


def hold(root: str) -> int:
    held = lock_dock(root)
    assert held is not None
    return held


def test_one_has_it_and_the_other_is_told_who(dock: Path) -> None:
    first = hold(str(dock))
    with pytest.raises(
        LockedError, match=rf"is served by transfer serve, process {os.getpid()} on "
    ) as refusal:
        lock_dock(str(dock))
    assert refusal.value.exit_code == 11
    os.close(first)
    os.close(hold(str(dock)))
    assert [path.name for path in dock.iterdir()] == [".serve.lock"]


def test_a_dock_that_cannot_be_written_is_locked_all_the_same() -> None:
    with tmpfs(1 << 20) as disk:
        disk.make_read_only()
        first = hold(disk.path)
        with pytest.raises(LockedError, match="is served by another process"):
            lock_dock(disk.path)
        os.close(first)
        os.close(hold(disk.path))
        assert os.listdir(disk.path) == []


def test_the_lock_of_one_who_could_write_is_seen_by_one_who_cannot() -> None:
    with tmpfs(1 << 20) as disk:
        os.close(hold(disk.path))
        disk.make_read_only()
        first = hold(disk.path)
        with pytest.raises(LockedError, match="is served by"):
            lock_dock(disk.path)
        os.close(first)


def test_a_link_or_fifo_in_place_of_the_lock_is_not_followed(dock: Path, tmp_path: Path) -> None:
    (dock / ".serve.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        lock_dock(str(dock))
    assert not (tmp_path / "elsewhere").exists()
    (dock / ".serve.lock").unlink()
    os.mkfifo(dock / ".serve.lock")
    os.close(hold(str(dock)))


def test_a_dock_is_locked_anew_where_another_folder_takes_its_place(dock: Path, tmp_path: Path) -> None:
    presence = Presence(str(dock))
    presence.check()
    dock.rename(tmp_path / "away")
    with pytest.raises(DeviceError, match="is gone: No such file or directory"):
        presence.check()
    os.close(hold(str(tmp_path / "away")))
    dock.write_text("no folder")
    with pytest.raises(DeviceError, match="is gone: it is no folder"):
        presence.check()
    dock.unlink()
    dock.mkdir()
    presence.check()
    with pytest.raises(LockedError):
        lock_dock(str(dock))
    presence.end()


def test_an_empty_mount_point_is_no_dock(tmp_path: Path) -> None:
    with tmpfs(1 << 20) as disk:
        presence = Presence(disk.path)
        presence.check()
        disk.pull()
        with pytest.raises(DeviceError, match="nothing is mounted there any more"):
            presence.check()
        assert os.listdir(disk.path) == []
        disk.plug_in()
        presence.check()
        assert os.listdir(disk.path) == [".serve.lock"]
        presence.end()
