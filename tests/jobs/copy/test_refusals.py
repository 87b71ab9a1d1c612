"""Requests that make no sense, devices and sources that go away: one clear error, the right code, no loss."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.jobs.copy.copying import (
    MIB,
    TRANSFER,
    Done,
    assert_holds,
    copy,
    findings,
    merged,
    packs,
    prepared,
    run,
    transfer_command,
)
from tests.simulators.disks import ext4_image, tmpfs
from tests.simulators.kills import bytes_exist
from tests.simulators.trees import large_file, small_files


def assert_refused(done: Done, code: int, word: str) -> None:
    assert (done.code, done.document["error"]["exit_code"]) == (code, code)
    assert word in done.document["error"]["what"]
    assert len(done.stderr.splitlines()) == 1 + bool(done.document["error"]["remedy"])


@pytest.mark.parametrize(
    ("name", "word"),
    [("missing", "does not exist"), ("file", "is not a folder"), ("file/below", "not a folder")],
)
def test_a_source_that_is_no_folder(source: Path, device: Path, name: str, word: str) -> None:
    (source / "file").write_bytes(b"x")
    assert_refused(copy(source / name, device), 2, word)


@pytest.mark.parametrize("name", ["missing", "source", "source/file"])
def test_a_device_that_is_none(tmp_path: Path, source: Path, name: str) -> None:
    (source / "file").write_bytes(b"x")
    (tmp_path / "other").mkdir()
    assert_refused(copy(tmp_path / "other", tmp_path / name), 10, "no device at")


def test_a_sealed_device(source: Path, device: Path) -> None:
    (source / "file").write_bytes(b"x")
    assert copy(source, device).code == 0
    assert run("seal", device).code == 0
    assert_refused(copy(source, device), 10, "is sealed")


@pytest.mark.parametrize("way", ["itself", "packs", "above", "link to device", "link above"])
def test_source_and_device_inside_each_other(tmp_path: Path, device: Path, way: str) -> None:
    (tmp_path / "link").symlink_to(device)
    (tmp_path / "up").symlink_to(tmp_path)
    source = {
        "itself": device,
        "packs": device / "packs",
        "above": tmp_path,
        "link to device": tmp_path / "link",
        "link above": tmp_path / "up",
    }[way]
    assert_refused(copy(source, device), 2, "lie inside each other")
    assert packs(device) == []


def test_a_device_inside_the_source_by_a_link_that_is_followed(source: Path, device: Path) -> None:
    (source / "a").write_bytes(b"x")
    (source / "link").symlink_to(device / "packs")
    assert_refused(copy(source, device, "-L"), 2, "leads to the device itself at link/")
    assert copy(source, device).code == 0
    assert copy(source, device, "-L", "--exclude", "/link/**").code == 0


def test_a_device_inside_the_source_by_another_mount(source: Path, device: Path) -> None:
    (source / "bound").mkdir()
    subprocess.run(["mount", "--bind", device, source / "bound"], check=True)
    try:
        assert_refused(copy(source, device), 2, "leads to the device itself at bound/")
    finally:
        subprocess.run(["umount", source / "bound"], check=True)


@pytest.mark.parametrize(
    "options",
    [("--workers", "0"), ("--level", "99"), ("--bwlimit", "fast"), ("--max-size", "big"), ("--nonsense",)],
)
def test_options_that_make_no_sense(source: Path, device: Path, options: tuple[str, ...]) -> None:
    assert copy(source, device, *options).code == 2


def test_a_read_only_device(source: Path) -> None:
    (source / "file").write_bytes(b"x")
    with tmpfs(16 * MIB) as disk:
        device = prepared(Path(disk.path))
        disk.make_read_only()
        assert_refused(copy(source, device), 10, "is mounted read-only")
        assert copy(source, device, "--dry-run").code == 0
        disk.make_writable()
        assert copy(source, device).code == 0


def test_a_device_whose_manifest_is_damaged(source: Path, device: Path) -> None:
    (source / "file").write_bytes(b"x")
    assert copy(source, device).code == 0
    segment = device / "segments" / "00000000.jsonl.zst"
    segment.write_bytes(segment.read_bytes()[:-20] + b"x" * 20)
    (source / "new").write_bytes(b"x")
    before = packs(device)
    assert_refused(copy(source, device), 4, "segment 0")
    assert packs(device)[: len(before)] == before


def test_a_device_that_lacks_a_pack(source: Path, device: Path) -> None:
    (source / "file").write_bytes(b"x")
    assert copy(source, device).code == 0
    (device / "packs" / packs(device)[0]).unlink()
    assert_refused(copy(source, device), 10, "lacks pack 00000000.tar.zst")


def test_links_on_a_hostile_device_are_not_followed(tmp_path: Path, source: Path, device: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (source / "file").write_bytes(b"x")
    for name in (
        "packs/00000000.tar.zst.partial",
        "packs/00000000.tar.zst",
        "segments/00000000.jsonl.zst.partial",
    ):
        (device / name).symlink_to(victim)
    assert copy(source, device).code == 0
    (device / "SEAL.json.partial").symlink_to(victim)
    assert run("seal", device).code == 0
    assert victim.read_bytes() == b"precious"
    assert findings(device) == set()


def test_folders_of_a_hostile_device_are_not_links(tmp_path: Path, source: Path, device: Path) -> None:
    (source / "file").write_bytes(b"x")
    (tmp_path / "elsewhere").mkdir()
    (device / "packs").rmdir()
    (device / "packs").symlink_to(tmp_path / "elsewhere")
    assert_refused(copy(source, device), 10, "is not a folder")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def start_slowly(source: Path, device: Path) -> subprocess.Popen[bytes]:
    """A copy that has something on the device already."""
    command = transfer_command("copy", source, device, "--workers", "2", "--bwlimit", "3M", "--json", "-q")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    event = bytes_exist(f"{device}/packs/*.zst", 2 * MIB)
    deadline = time.monotonic() + 30
    while not event(b""):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[1].decode()
        time.sleep(0.002)
    return process


@pytest.mark.parametrize("way", ["pulled", "deleted", "read-only", "power"])
def test_a_device_that_goes_away_in_the_middle(tmp_path: Path, source: Path, way: str) -> None:
    large_file(os.fsencode(source / "large"), 3 * MIB, seed=1)
    small_files(os.fsencode(source), 2000, seed=1)
    with ext4_image(64 * MIB) as disk:
        device = prepared(Path(disk.path))
        os.sync()
        process = start_slowly(source, device)
        if way == "pulled":
            disk.pull()
        elif way == "deleted":
            shutil.rmtree(device, ignore_errors=True)
        elif way == "read-only":
            disk.make_read_only()
        else:
            disk.cut_power()
        _, err = process.communicate(timeout=60)
        assert process.returncode == 10, err
        assert b"Traceback" not in err
        assert len(err.splitlines()) == 2
        # A file system that goes read-only answers EIO to what was under way, EROFS from then on.
        told = {"read-only": (b"read-only", b"Input/output error"), "power": (b"device",)}
        assert any(words in err for words in told.get(way, (b"is gone",)))
        if way == "deleted":
            return
        if disk.is_mounted:
            disk.pull()
        disk.plug_in()
        assert {finding.split(":")[0] for finding in findings(device)} <= {"incomplete", "uncommitted"}
        assert copy(source, device).code == 0
        assert_holds(device, source, tmp_path / "out")


def test_a_source_that_is_unmounted_and_emptied_in_the_middle(tmp_path: Path, device: Path) -> None:
    with tmpfs(64 * MIB) as disk:
        source = Path(disk.path)
        small_files(os.fsencode(source), 3000, seed=1)
        process = start_slowly(source, device)
        for folder in source.iterdir():
            shutil.rmtree(folder)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert b'"reason":"vanished"' in out
    assert findings(device) == set()
    assert "failed" in merged(device).values()


def test_the_working_directory_lends_no_modules(tmp_path: Path, source: Path, device: Path) -> None:
    """A file of the user's that is named as a module must not be run by the workers."""
    (source / "file").write_bytes(b"x")
    place = tmp_path / "here"
    place.mkdir()
    for name in ("blake3.py", "struct.py", "msgspec.py"):
        (place / name).write_text("raise SystemExit('run by mistake')")
    command = [TRANSFER[0], "-P", *TRANSFER[1:], "copy", os.fspath(source), os.fspath(device), "-q"]
    done = subprocess.run(command, cwd=place, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_device_pulled_while_idle_is_told_when_it_is_used(source: Path) -> None:
    (source / "file").write_bytes(b"x")
    with tmpfs(16 * MIB) as disk:
        device = prepared(Path(disk.path))
        disk.pull()
        assert_refused(copy(source, device), 10, "no device at")
