"""One writer at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulators.disks import tmpfs
from transfer.device.layout import Layout
from transfer.device.lock import locked
from transfer.errors import DeviceError, LockedError

HOLD = """
import sys
from transfer.device.layout import Layout
from transfer.device.lock import locked
with locked(Layout(sys.argv[1]), "copy"):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(place: Path) -> subprocess.Popen[str]:
    """Another process that has the lock."""
    command = [sys.executable, "-c", HOLD, str(place)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        with pytest.raises(LockedError, match=f"in use by transfer copy, process {process.pid} on "):
            locked(Layout(str(tmp_path)), "seal").__enter__()
        process.communicate("")
    with locked(Layout(str(tmp_path)), "seal"):
        pass
    assert (tmp_path / "LOCK").read_bytes() == b""


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.kill()
        process.wait()
    assert b"copy" in (tmp_path / "LOCK").read_bytes()
    with locked(Layout(str(tmp_path)), "seal"):
        assert b"seal" in (tmp_path / "LOCK").read_bytes()


def test_what_a_hostile_device_says_of_the_holder_is_cut_and_escaped(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        (tmp_path / "LOCK").write_bytes(b"\x1b[2Jnobody\n" + b"x" * 10_000)
        with pytest.raises(LockedError) as caught:
            locked(Layout(str(tmp_path)), "seal").__enter__()
        assert caught.value.what.isprintable()
        assert len(caught.value.what) < 500
        process.communicate("")


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "LOCK").symlink_to(tmp_path / "victim")
    with pytest.raises(DeviceError), locked(Layout(str(tmp_path)), "copy"):
        pass
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_a_full_disk_does_not_keep_it_from_working() -> None:
    with tmpfs(64 << 10) as disk:
        with pytest.raises(OSError, match="No space"):
            Path(disk.path, "ballast").write_bytes(bytes(1 << 20))
        with locked(Layout(disk.path), "seal"):
            assert Path(disk.path, "LOCK").read_bytes() == b""
            with pytest.raises(LockedError, match="another process"):
                locked(Layout(disk.path), "copy").__enter__()


def test_a_device_that_goes_away_under_it_is_no_second_error() -> None:
    with tmpfs(1 << 20) as disk, pytest.raises(ZeroDivisionError), locked(Layout(disk.path), "copy"):
        disk.pull()
        raise ZeroDivisionError
