"""Durable writes, and what the errors of a device's disk mean."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.jobs.copy.faults import failing_disk
from transfer.device.disk import (
    create_new,
    device_error,
    device_errors,
    set_room_aside,
    sync_directory,
    write_durably,
)
from transfer.errors import DeviceError, DeviceFullError


def test_a_file_is_synced_before_it_is_named_and_its_folder_after(tmp_path: Path) -> None:
    with failing_disk() as disk:
        write_durably(str(tmp_path / "file"), b"content")
    assert disk.calls == ["unlink", "open", "pwrite", "fsync", "rename", "fsync"]
    assert (tmp_path / "file").read_bytes() == b"content"


@pytest.mark.parametrize("call", range(2, 6))
def test_when_a_write_fails_the_old_file_is_left_and_nothing_else(tmp_path: Path, call: int) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with failing_disk(call, errno.EIO), pytest.raises(OSError, match="Input/output"):
        write_durably(str(tmp_path / "file"), b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_write_is_never_led_away_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "file.partial").symlink_to(tmp_path / "victim")
    (tmp_path / "file").symlink_to(tmp_path / "victim")
    write_durably(str(tmp_path / "file"), b"content")
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert not (tmp_path / "file").is_symlink()


def test_a_new_file_is_never_the_old_one(tmp_path: Path) -> None:
    """After a failed fsync a file must not be trusted again; an open descriptor still shows the old one."""
    old = create_new(str(tmp_path / "file"))
    os.write(old, b"old")
    os.close(create_new(str(tmp_path / "file")))
    assert os.pread(old, 10, 0) == b"old"
    assert (tmp_path / "file").stat().st_size == 0
    os.close(old)


def test_the_mode_is_given_at_birth(tmp_path: Path) -> None:
    write_durably(str(tmp_path / "script"), b"", mode=0o755)
    assert os.access(tmp_path / "script", os.X_OK)


@pytest.mark.parametrize(
    ("code", "raises"), [(errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EIO, True)]
)
def test_a_folder_that_cannot_be_synced(tmp_path: Path, code: int, raises: bool) -> None:
    with failing_disk(1, code) as disk:
        if raises:
            with pytest.raises(OSError, match="Input/output"):
                sync_directory(str(tmp_path))
        else:
            sync_directory(str(tmp_path))
    assert disk.fired


@pytest.mark.parametrize(
    ("code", "raises"), [(errno.ENOSPC, True), (errno.EOPNOTSUPP, False), (errno.EPERM, False)]
)
def test_room_is_set_aside_where_that_is_possible(tmp_path: Path, code: int, raises: bool) -> None:
    descriptor = create_new(str(tmp_path / "file"))
    try:
        with failing_disk(1, code) as disk:
            if raises:
                with pytest.raises(OSError, match="No space"):
                    set_room_aside(descriptor, 4096)
            else:
                set_room_aside(descriptor, 4096)
        assert disk.fired
        set_room_aside(descriptor, 8192)
        assert os.fstat(descriptor).st_size == 8192
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("code", "kind", "word"),
    [
        (errno.ENOSPC, DeviceFullError, "is full"),
        (errno.EDQUOT, DeviceFullError, "is full"),
        (errno.EROFS, DeviceError, "read-only"),
        (errno.EACCES, DeviceError, "may not be used"),
        (errno.EIO, DeviceError, "failed at"),
    ],
)
def test_errors_say_what_happened_and_what_to_do(
    tmp_path: Path, code: int, kind: type[DeviceError], word: str
) -> None:
    error = device_error(OSError(code, os.strerror(code), "packs/x"), str(tmp_path))
    assert type(error) is kind
    assert word in error.what
    assert error.remedy


def test_a_device_whose_files_are_not_there_any_more_is_gone(tmp_path: Path) -> None:
    (tmp_path / "DEVICE.json").write_bytes(b"")
    with pytest.raises(DeviceError, match="failed at"), device_errors(str(tmp_path)):
        os.rename(tmp_path / "a", tmp_path / "b")
    (tmp_path / "DEVICE.json").unlink()
    with pytest.raises(DeviceError, match="is gone"), device_errors(str(tmp_path)):
        os.rename(tmp_path / "a", tmp_path / "b")
