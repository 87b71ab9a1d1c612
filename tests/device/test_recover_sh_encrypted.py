"""recover.sh on encrypted devices, with the real age: as on others, and the key stays where it must."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.device.hand_made import (
    ALL,
    END_OF_ARCHIVE,
    LARGE,
    LEFT_BY,
    PACKS,
    RANGE_OF,
    SHELLS,
    Pack,
    contents,
    flip,
    make_device,
    member,
    pack_path,
    recover,
    segment_path,
    state,
    zstd,
)
from tests.ssh_tools import make_key, public_line
from tests.tools import require_tool
from transfer.device.recovery import recovery_text

STORED_CHUNK = 65_536 + 16


@cache
def encrypted(content: bytes, recipient: str) -> bytes:
    command = [require_tool("age"), "-r", recipient]
    return subprocess.run(command, input=content, capture_output=True, check=True).stdout


def age_key(path: Path) -> str:
    """A new identity; its recipient."""
    subprocess.run([require_tool("age-keygen"), "-o", path], capture_output=True, check=True)
    told = subprocess.run([require_tool("age-keygen"), "-y", path], capture_output=True, check=True)
    return told.stdout.decode().strip()


def encrypt_device(device: Path, recipient: str, work: Path) -> Path:
    """Make a device that is not encrypted into one that is, by the age program."""
    work.mkdir(exist_ok=True)
    job = age_key(work / "job")
    (device / "keys").mkdir()
    (device / "keys/job.age").write_bytes(encrypted((work / "job").read_bytes(), recipient))
    (work / "job").unlink()
    for path in sorted(device.glob("*/*.zst")):
        path.with_name(path.name + ".age").write_bytes(encrypted(path.read_bytes(), job))
        path.unlink()
    if (device / "SEAL.json").exists():
        text = (device / "SEAL.json").read_text()
        (device / "SEAL.json").write_text(text.replace('.tar.zst"', '.tar.zst.age"'))
    return device


def pack_of(device: Path, number: int) -> Path:
    path = pack_path(device, number)
    return path.with_name(path.name + ".age")


def segment_of(device: Path, number: int) -> Path:
    path = segment_path(device, number)
    return path.with_name(path.name + ".age")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where programs put what they need for a moment."""
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    return place


@pytest.fixture
def key(tmp_path: Path) -> Path:
    age_key(tmp_path / "the key")
    return tmp_path / "the key"


@pytest.fixture
def device(tmp_path: Path, key: Path, scratch: Path) -> Path:
    told = subprocess.run([require_tool("age-keygen"), "-y", key], capture_output=True, check=True)
    return encrypt_device(make_device(tmp_path / "device"), told.stdout.decode().strip(), tmp_path / "work")


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    place = tmp_path / "restored"
    place.mkdir()
    return place


@pytest.mark.parametrize("tar", ["tar", "bsdtar"])
@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_whole_device_comes_back_and_no_key_is_left(
    device: Path, destination: Path, key: Path, scratch: Path, shell: tuple[str, ...], tar: str
) -> None:
    before = state(device)
    done = recover(device, "--identity", key, destination, shell=shell, tar=tar)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert contents(destination) == ALL
    assert state(device) == before
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("kind", ["ed25519", "rsa-2048"])
def test_an_ssh_key_opens_it(tmp_path: Path, destination: Path, scratch: Path, kind: str) -> None:
    key = make_key(tmp_path, kind)
    device = encrypt_device(make_device(tmp_path / "device"), public_line(key), tmp_path / "work")
    done = recover(device, "--identity", key, destination)
    assert (done.returncode, done.stderr) == (0, "")
    assert contents(destination) == ALL


def test_modes_are_those_of_the_archive_and_no_folder_is_private(
    tmp_path: Path, key: Path, scratch: Path
) -> None:
    """What protects the key must not protect what is restored: a folder that no member makes is as usual."""
    plain = make_device(tmp_path / "plain", (Pack((member("implied/file", b"x"),)),))
    told = subprocess.run([require_tool("age-keygen"), "-y", key], capture_output=True, check=True)
    secret = encrypt_device(
        make_device(tmp_path / "secret", (Pack((member("implied/file", b"x"),)),)),
        told.stdout.decode().strip(),
        tmp_path / "work",
    )
    modes = []
    for device, options in ((plain, []), (secret, ["--identity", key])):
        to = tmp_path / f"to {device.name}"
        to.mkdir()
        assert recover(device, *options, to).returncode == 0
        modes.append([(to / name).stat().st_mode for name in ("implied", "implied/file")])
    assert modes[0] == modes[1]


def test_list_and_fast(device: Path, destination: Path, key: Path) -> None:
    done = recover(device, "--list", "--identity", key)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["a", "b", "dir/", "dir/c", "dir/large", "e", "a", "f"]
    done = recover(device, "--fast", "--identity", key, destination)
    assert (done.returncode, done.stderr) == (0, "")
    assert contents(destination) == ALL


def _gone(path: Path) -> None:
    path.unlink()


def _bit_of_head(path: Path) -> None:
    flip(path, 40)


def _bit_of_tag(path: Path) -> None:
    flip(path, -1)


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _cut_behind_head(path: Path) -> None:
    os.truncate(path, 184)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _extended(path: Path) -> None:
    with path.open("ab") as file:
        file.write(bytes(100))


DAMAGES = [_gone, _bit_of_head, _bit_of_tag, _cut, _cut_behind_head, _empty, _extended]


@pytest.mark.parametrize("lost", range(5))
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_pack_takes_its_group_and_nothing_else(
    device: Path, destination: Path, key: Path, lost: int, damage: object
) -> None:
    assert callable(damage)
    damage(pack_of(device, lost))
    done = recover(device, "--identity", key, destination)
    assert done.returncode == 1
    word = "missing" if damage is _gone else "damaged"
    assert f"pack {lost:08} is {word}" in done.stderr
    assert f"LOST: packs {RANGE_OF[lost]};" in done.stderr
    assert contents(destination) == LEFT_BY[lost]


@pytest.mark.parametrize("options", [(), ("--fast",)])
def test_cut_between_two_chunks_and_two_frames_at_once(
    tmp_path: Path, destination: Path, key: Path, scratch: Path, options: tuple[str, ...]
) -> None:
    """Zstd sees a whole file there; only age knows that it is not."""
    recipient = subprocess.run([require_tool("age-keygen"), "-y", key], capture_output=True, check=True)
    device = make_device(tmp_path / "device", (Pack((member("a", b"a"),)), Pack((member("b", b"b"),))))
    first = zstd(member("a", b"a"))
    padding = 65_536 - len(first) - 8
    skipped = (0x184D2A50).to_bytes(4, "little") + padding.to_bytes(4, "little") + bytes(padding)
    pack_path(device, 0).write_bytes(first + skipped + zstd(member("a2", b"a2") + END_OF_ARCHIVE))
    encrypt_device(device, recipient.stdout.decode().strip(), tmp_path / "work")
    head = len(encrypted(b"", age_key(tmp_path / "any"))) - 16  # as of any one X25519 recipient
    os.truncate(pack_of(device, 0), head + STORED_CHUNK)
    done = recover(device, *options, "--identity", key, destination)
    assert done.returncode == 1
    if options:
        assert "stopped: packs/00000000.tar.zst.age could not be read to its end" in done.stderr
    else:
        assert "pack 00000000 is damaged" in done.stderr
        assert contents(destination) == {"b": b"b"}


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_fast_ends_at_damage(device: Path, destination: Path, key: Path, shell: tuple[str, ...]) -> None:
    flip(pack_of(device, 2), -1)
    done = recover(device, "--fast", "--identity", key, destination, shell=shell)
    assert done.returncode == 1
    assert "stopped: packs/00000002.tar.zst.age could not be read to its end" in done.stderr
    restored = contents(destination)
    assert len(restored.pop("dir/large", b"")) < len(LARGE)
    assert restored == {"a": b"old", "b": b"b" * 700, "dir/c": b"c"}


@pytest.mark.parametrize("lost", range(5))
@pytest.mark.parametrize("damage", DAMAGES[:4])
def test_lost_segment_alone_loses_no_data(
    device: Path, destination: Path, key: Path, lost: int, damage: object
) -> None:
    assert callable(damage)
    damage(segment_of(device, lost))
    done = recover(device, "--identity", key, destination)
    assert contents(destination) == ALL
    # Of a segment that is cut short the first line is still to be had.
    assert (done.returncode, f"segment {lost:08} is missing" in done.stderr) in ((0, True), (0, False))


def test_pack_missing_at_the_end_is_known_by_the_seal(device: Path, destination: Path, key: Path) -> None:
    pack_of(device, 4).unlink()
    segment_of(device, 4).unlink()
    done = recover(device, "--identity", key, destination)
    assert done.returncode == 1
    assert "pack 00000004 is missing" in done.stderr
    assert contents(destination) == {"a": b"old", "b": b"b" * 700}


def test_device_that_ends_inside_a_file_says_so(
    tmp_path: Path, destination: Path, key: Path, scratch: Path
) -> None:
    told = subprocess.run([require_tool("age-keygen"), "-y", key], capture_output=True, check=True)
    device = make_device(tmp_path / "device", PACKS[:3], sealed=False)
    encrypt_device(device, told.stdout.decode().strip(), tmp_path / "work")
    done = recover(device, "--identity", key, destination)
    assert done.returncode == 1
    assert "the device ends in the middle of a file" in done.stderr


# --- what is refused ---


def refused(done: subprocess.CompletedProcess[str], word: str, scratch: Path, destination: Path) -> None:
    assert (done.returncode, done.stdout) == (2, "")
    assert word in done.stderr
    assert contents(destination) == {}
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_the_wrong_key(
    device: Path, destination: Path, tmp_path: Path, scratch: Path, shell: tuple[str, ...]
) -> None:
    age_key(tmp_path / "wrong")
    done = recover(device, "--identity", tmp_path / "wrong", destination, shell=shell)
    refused(done, "this key does not open the device", scratch, destination)
    done = recover(device, "--identity", tmp_path / "nowhere", destination, shell=shell)
    refused(done, "this key does not open the device", scratch, destination)


def test_no_key(device: Path, destination: Path, scratch: Path) -> None:
    refused(recover(device, destination), "give --identity KEY", scratch, destination)
    refused(recover(device, "--identity", "", destination), "--identity wants the file", scratch, destination)
    refused(recover(device, "--identity"), "--identity wants the file", scratch, destination)


def test_no_age(device: Path, destination: Path, key: Path, tmp_path: Path, scratch: Path) -> None:
    place = tmp_path / "only"
    place.mkdir()
    for program in ("zstd", "tar", "mktemp", "rm"):
        (place / program).symlink_to(require_tool(program))
    done = recover(device, "--identity", key, destination, path=str(place))
    refused(done, "there is no age here", scratch, destination)
    (place / "age").symlink_to(require_tool("age"))
    assert recover(device, "--identity", key, destination, path=str(place)).returncode == 0
    assert contents(destination) == ALL


def test_the_job_key_is_gone(device: Path, destination: Path, key: Path, scratch: Path) -> None:
    (device / "keys/job.age").unlink()
    done = recover(device, "--identity", key, destination)
    refused(done, "its keys/job.age is gone", scratch, destination)


def test_a_key_for_a_device_that_is_not_encrypted(tmp_path: Path, destination: Path, key: Path) -> None:
    device = make_device(tmp_path / "device")
    done = recover(device, "--identity", key, destination)
    assert (done.returncode, contents(destination)) == (0, ALL)
    assert "this device is not encrypted" in done.stderr


# --- paths, signals, text ---


@pytest.mark.parametrize("name", ["with space", "-dash", "*?[a]$(x)`y`\"'\\", "%s%n"])
def test_any_path_of_device_key_scratch_and_destination(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / kind / name for kind in ("to", "keys", "scratch")]
    for folder in folders:
        folder.mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(folders[2]))
    recipient = age_key(folders[1] / name)
    device = encrypt_device(make_device(tmp_path / "from" / name), recipient, tmp_path / "work")
    done = recover(device, "--identity", folders[1] / name, folders[0])
    assert (done.returncode, done.stderr) == (0, "")
    assert contents(folders[0]) == ALL
    assert list(folders[2].iterdir()) == []


def test_a_relative_key(device: Path, destination: Path, key: Path) -> None:
    command = ["dash", "device/recover.sh", "--identity", key.name, "restored"]
    done = subprocess.run(command, cwd=key.parent, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert contents(destination) == ALL


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_an_interrupt_leaves_no_key(
    device: Path, destination: Path, key: Path, tmp_path: Path, scratch: Path, shell: tuple[str, ...]
) -> None:
    """Ended while tar is at work; the tar is one that tells us so, and waits."""
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    slow = tmp_path / "slow tar"
    slow.write_text(
        f'#!/bin/sh\ncase $1 in -t) exit 0 ;; esac\necho at work >"{ready}"\ncat >/dev/null\nsleep 60\n'
    )
    slow.chmod(0o755)
    process = subprocess.Popen(
        [require_tool(shell[0]), *shell[1:], device / "recover.sh", "--identity", key, destination],
        env={**os.environ, "TAR": str(slow)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with ready.open() as told:
        assert told.read() == "at work\n"
    assert [path.name for path in scratch.rglob("*") if path.is_file()] == ["job.key"]
    assert [path.stat().st_mode & 0o077 for path in scratch.iterdir()] == [0]
    os.killpg(process.pid, 15)
    assert process.wait(30) != 0
    assert list(scratch.iterdir()) == []


def test_the_lines_of_recovery_txt_restore_the_same(
    device: Path, destination: Path, key: Path, tmp_path: Path
) -> None:
    page = recovery_text("job", "id", "now", encrypted=True).decode()
    lines = [line.strip() for line in page.splitlines()]
    first = next(number for number, line in enumerate(lines) if line.startswith("age -d -i KEY"))
    loop = next(number for number, line in enumerate(lines) if line.startswith("for pack in packs/*"))
    unlock = lines[first].partition("  ")[0].replace("KEY", '"$1"')
    script = "\n".join([unlock, *lines[loop : loop + 2]]).replace("/some/empty/place", '"$2"')
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home)}
    before = set(device.rglob("*"))
    subprocess.run(["sh", "-c", script, "sh", key, destination], cwd=device, env=environment, check=True)
    assert contents(destination) == ALL
    assert set(device.rglob("*")) == before


def test_recovery_text_of_an_encrypted_device_fits_its_page() -> None:
    page = recovery_text("job", "id", "now", encrypted=True).decode()
    plain = recovery_text("job", "id", "now").decode()
    assert "THIS DEVICE IS ENCRYPTED" in page
    assert "THIS DEVICE IS ENCRYPTED" not in plain
    assert max(map(len, page.splitlines())) <= 120
    assert "{" not in page
    for line in plain.splitlines():
        assert line in page
