"""An encrypted device that gets full, by its capacity or because the disk is, or whose disk fails: what was
committed is whole, and the same command goes on.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.jobs.copy.copying import CHUNK, MIB, PROFILE, copy, packs, run
from tests.jobs.encrypted import Key, age_key, restore_by_hand
from tests.jobs.shipment import transfer
from tests.simulators.compare import differences
from tests.simulators.disks import ext4_image, tmpfs
from tests.simulators.trees import large_file
from transfer.device.encrypted_pack import EncryptedPackFile

SOUND = {"incomplete"}


@pytest.fixture
def key(tmp_path: Path) -> Key:
    return age_key(tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    place = tmp_path / "source"
    place.mkdir()
    return place


def prepared(device: Path, key: Key, place: Path, *options: str) -> Path:
    device.mkdir(exist_ok=True)
    profile = place / "profile.toml"
    profile.write_text(PROFILE)
    told = ("--profile", profile, "--job", "test", "-r", key.recipient, *options)
    ended = transfer("prepare", device, *told)
    assert ended.code == 0, ended.stderr
    return device


def fill(source: Path, kind: str) -> None:
    if kind == "small":
        for number in range(24 * 16):
            (source / f"{number:04}").write_bytes(os.urandom(CHUNK - 512))
    else:
        for number in range(6):
            large_file(os.fsencode(source / f"large {number}"), 3 * MIB, seed=number)


def deep(device: Path, key: Key) -> set[str]:
    """Codes of what a deep verify finds."""
    document = run("verify", device, "--deep", "-i", key.path).document
    return {finding["code"] for finding in document["findings"]}


def listed(device: Path, key: Key) -> set[str]:
    ended = transfer("ls", device, "-i", key.path)
    assert ended.code == 0
    return set(ended.stdout.splitlines())


def check_full(source: Path, device: Path, key: Key, place: Path) -> None:
    """Stopped in a sound state; the same command says the same; sealed; another device takes the rest."""
    done = copy(source, device)
    assert (done.code, "is full" in done.stderr) == (13, True)
    assert deep(device, key) <= SOUND
    assert packs(device)
    names = {path.name for path in source.iterdir()}
    here = listed(device, key)
    assert len(names - here) == done.document["left_files"] > 0
    again = copy(source, device)
    assert (again.code, again.document["left_files"]) == (13, done.document["left_files"])
    assert run("seal", device, "--incomplete").code == 0
    assert deep(device, key) <= SOUND
    assert list((Path(os.environ["XDG_STATE_HOME"]) / "transfer/resume").iterdir()) == []


@pytest.mark.parametrize("kind", ["small", "large"])
@pytest.mark.parametrize("capacity", [5 * MIB, 5 * MIB + 70_001])
def test_the_capacity_is_kept_to(tmp_path: Path, source: Path, key: Key, kind: str, capacity: int) -> None:
    device = prepared(tmp_path / "device", key, tmp_path, "--capacity", str(capacity))
    fill(source, kind)
    check_full(source, device, key, tmp_path)
    assert sum(path.stat().st_size for path in device.rglob("*") if path.is_file()) <= capacity


@pytest.mark.parametrize("image", [tmpfs, ext4_image])
@pytest.mark.parametrize("kind", ["small", "large"])
def test_a_disk_without_room_stops_cleanly(
    tmp_path: Path, source: Path, key: Key, image: type, kind: str
) -> None:
    fill(source, kind)
    with image(16 * MIB) as disk:
        device = prepared(Path(disk.path), key, tmp_path)
        check_full(source, device, key, tmp_path)


@pytest.mark.parametrize("kind", ["small", "large"])
def test_a_disk_that_others_fill_meanwhile_goes_on_when_there_is_room(
    tmp_path: Path, source: Path, key: Key, kind: str
) -> None:
    if kind == "small":
        for number in range(6 * 16):
            (source / f"{number:04}").write_bytes(os.urandom(CHUNK - 512))
    else:
        large_file(os.fsencode(source / "large"), 6 * MIB, seed=1)
    with tmpfs(16 * MIB) as disk:
        device = prepared(Path(disk.path), key, tmp_path)
        ballast = device / "somebody's file"
        ballast.write_bytes(bytes(12 * MIB))
        assert copy(source, device).code == 13
        assert deep(device, key) <= SOUND
        ballast.unlink()
        assert copy(source, device).code == 0
        assert run("seal", device).code == 0
        assert deep(device, key) == set()
        out = restore_by_hand(device, key.path, tmp_path / "out")
        assert differences(os.fsencode(source), os.fsencode(out)) == []


@pytest.mark.parametrize("nth", range(1, 40, 3))
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_any_write_of_a_pack_fails_once(
    tmp_path: Path, source: Path, key: Key, nth: int, error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the same command goes on, and all is there."""
    for number in range(10):
        (source / f"{number:02}").write_bytes(os.urandom(30_000))
    large_file(os.fsencode(source / "large"), 1_500_000, seed=1)
    for number in range(10):
        (source / f"z{number:02}").write_bytes(os.urandom(30_000))
    device = prepared(tmp_path / "device", key, tmp_path)
    write, calls = EncryptedPackFile._write, 0

    def failing(self: EncryptedPackFile, content: bytes, offset: int) -> int:
        nonlocal calls
        calls += 1
        if calls == nth:
            write(self, content[: len(content) // 2], offset)
            raise OSError(error, os.strerror(error))
        return write(self, content, offset)

    monkeypatch.setattr(EncryptedPackFile, "_write", failing)
    code = copy(source, device).code
    assert code == (0 if calls < nth else 13 if error == errno.ENOSPC else 10)
    assert deep(device, key) <= SOUND
    assert copy(source, device).code == 0
    assert run("seal", device).code == 0
    assert deep(device, key) == set()
    assert {path.name for path in source.iterdir()} <= listed(device, key)


def test_a_disk_that_lost_what_was_written_commits_nothing_of_it(
    tmp_path: Path, source: Path, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To go back to where a large file began, what came before it is read again."""
    for number in range(3):
        (source / f"{number}").write_bytes(os.urandom(CHUNK))
    large_file(os.fsencode(source / "large"), 300_000, seed=1)
    device = prepared(tmp_path / "device", key, tmp_path)
    write, calls = EncryptedPackFile._write, 0

    def failing(self: EncryptedPackFile, content: bytes, offset: int) -> int:
        nonlocal calls
        calls += 1
        if offset > 3 * CHUNK:
            os.pwrite(self._descriptor, bytes(100), 500)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, content, offset)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EncryptedPackFile, "_write", failing)
        done = copy(source, device)
    assert (done.code, "does not give back" in done.stderr) == (10, True)
    assert packs(device) == []
    assert copy(source, device).code == 0
    assert deep(device, key) == set()
