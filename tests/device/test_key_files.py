"""Secret files: who may read them is asked of the open file, and new ones are made for their owner alone."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from transfer.device import key_files
from transfer.device.key_files import (
    SECRET_MODE,
    open_secret_file,
    read_public_file,
    read_secret_file,
    write_new_file,
)
from transfer.errors import AccessError, TransferError, UsageError

CANARY = b"canary-3141592653"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(CANARY)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_of_its_owner_alone_is_read(secret: Path, mode: int) -> None:
    secret.chmod(mode)
    file = open_secret_file(str(secret), "key file")
    assert (file.content, file.mode) == (CANARY, mode)
    assert "canary" not in repr(file)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o666, 0o777])
@pytest.mark.parametrize("through", ["itself", "link", "link of a link", "hard link"])
def test_a_file_that_others_may_touch_is_refused(secret: Path, mode: int, through: str) -> None:
    secret.chmod(mode)
    path = secret
    if through == "hard link":
        path = secret.with_name("hard")
        path.hardlink_to(secret)
    else:
        for number in range(["itself", "link", "link of a link"].index(through)):
            link = secret.with_name(f"link{number}")
            link.symlink_to(path)
            path = link
    with pytest.raises(AccessError, match=rf"by others \(mode {mode:04o}\)") as caught:
        read_secret_file(str(path), "key file")
    assert caught.value.remedy.startswith(f"chmod 600 {path}")
    assert "canary" not in str(caught.value)


def test_what_is_checked_is_what_is_read(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_to_all = secret.with_name("open to all")
    open_to_all.write_bytes(b"swapped")
    open_to_all.chmod(0o644)
    real = os.fstat

    def swap_first(descriptor: int) -> os.stat_result:
        monkeypatch.undo()
        os.rename(open_to_all, secret)
        return real(descriptor)

    monkeypatch.setattr(key_files.os, "fstat", swap_first)
    assert read_secret_file(str(secret), "key file") == CANARY
    assert secret.read_bytes() == b"swapped"


def test_a_link_is_judged_by_what_it_leads_to(secret: Path) -> None:
    link = secret.with_name("link")
    link.symlink_to(secret)  # links have mode 0777
    assert read_secret_file(str(link), "key file") == CANARY


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_that_belongs_to_another_user_is_refused(secret: Path) -> None:
    os.chown(secret, 12345, 12345)
    with pytest.raises(AccessError, match="belongs to another user"):
        read_secret_file(str(secret), "key file")


def test_a_pipe_of_another_program_is_read_to_its_end() -> None:
    reader, writer = os.pipe()
    content = CANARY * 10_000  # more than a pipe holds

    def feed() -> None:
        with open(writer, "wb") as file:
            file.write(content)

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        assert read_secret_file(f"/dev/fd/{reader}", "key file") == content
    finally:
        os.close(reader)
        thread.join()


def test_a_pipe_that_nobody_writes_to_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert read_secret_file(str(tmp_path / "pipe"), "key file") == b""


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    for strange in (str(tmp_path), "/dev/null"):
        with pytest.raises(AccessError, match="is not a file"):
            read_secret_file(strange, "key file")
    with pytest.raises(UsageError, match=r"key file .*none cannot be read: No such file"):
        read_secret_file(str(tmp_path / "none"), "key file")
    with pytest.raises(UsageError, match=r"recipients file .*none cannot be read: No such file"):
        read_public_file(str(tmp_path / "none"), "recipients file")


def test_no_descriptor_is_left_open(secret: Path) -> None:
    before = os.listdir("/dev/fd")
    for mode in (0o600, 0o644):
        secret.chmod(mode)
        for path in (secret, secret.parent):
            with pytest.raises(TransferError):
                read_secret_file(str(path), "key file", limit_bytes=3)
    assert os.listdir("/dev/fd") == before


def test_there_is_a_limit(secret: Path) -> None:
    assert read_secret_file(str(secret), "key file", limit_bytes=len(CANARY)) == CANARY
    assert read_public_file(str(secret), "key file", limit_bytes=len(CANARY)) == CANARY
    for read in (read_secret_file, read_public_file):
        with pytest.raises(UsageError, match=r"key file .* is larger than 16 bytes"):
            read(str(secret), "key file", limit_bytes=len(CANARY) - 1)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_a_new_file_has_its_mode_whatever_the_mask(tmp_path: Path, mask: int) -> None:
    old = os.umask(mask)
    try:
        write_new_file(str(tmp_path / "new"), CANARY, mode=SECRET_MODE)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600
    assert (tmp_path / "new").read_bytes() == CANARY


def test_nothing_is_overwritten_and_no_link_followed(secret: Path) -> None:
    dangling = secret.with_name("dangling")
    dangling.symlink_to(secret.with_name("elsewhere"))
    for path in (secret, dangling):
        with pytest.raises(UsageError, match="already"):
            write_new_file(str(path), b"other", mode=SECRET_MODE)
    assert secret.read_bytes() == CANARY
    assert not secret.with_name("elsewhere").exists()
    with pytest.raises(TransferError, match="cannot be written: No such file"):
        write_new_file(str(secret.with_name("none") / "new"), b"", mode=SECRET_MODE)


@pytest.mark.parametrize("nth", [1, 2])
def test_when_the_disk_fails_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    calls = iter(range(1, 9))
    real = os.fsync

    def fail(descriptor: int) -> None:
        if next(calls) == nth:
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(key_files.os, "fsync", fail)
    with pytest.raises(TransferError, match="new cannot be written: Input/output error"):
        write_new_file(str(tmp_path / "new"), CANARY, mode=SECRET_MODE)
    assert next(calls) == nth + 1
    assert os.listdir(tmp_path) == []
