"""recover.sh at the hands of people: its options, paths, refusals, tools and locales; and RECOVERY.txt."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.device.hand_made import (
    ALL,
    LARGE,
    LEFT_BY,
    PACKS,
    Pack,
    contents,
    flip,
    make_device,
    member,
    pack_path,
    recover,
    zstd,
)
from tests.tools import require_tool
from transfer.device.recovery import recover_script, recovery_text


@pytest.fixture
def device(tmp_path: Path) -> Path:
    return make_device(tmp_path / "device")


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    place = tmp_path / "restored"
    place.mkdir()
    return place


def test_list_names_the_members_and_writes_nothing(device: Path) -> None:
    done = recover(device, "--list")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["a", "b", "dir/", "dir/c", "dir/large", "e", "a", "f"]


def test_list_leaves_out_lost_groups(device: Path) -> None:
    flip(pack_path(device, 1), 20)
    done = recover(device, "--list")
    assert done.returncode == 1
    assert done.stdout.split() == ["a", "b", "a", "f"]


def test_fast_on_a_whole_device(device: Path, destination: Path) -> None:
    done = recover(device, "--fast", destination)
    assert (done.returncode, done.stderr) == (0, "")
    assert contents(destination) == ALL


def test_fast_ends_at_damage_rather_than_feed_tar_wrong_bytes(device: Path, destination: Path) -> None:
    pack = pack_path(device, 2)
    flip(pack, len(zstd(PACKS[2].frames[0])) + 30)
    done = recover(device, "--fast", destination)
    assert done.returncode == 1
    assert "stopped: packs/00000002.tar.zst could not be read to its end" in done.stderr
    restored = contents(destination)
    assert len(restored.pop("dir/large")) < len(LARGE)  # cut short, and tar said so
    assert "tar ended with status 2" in done.stderr
    assert restored == {"a": b"old", "b": b"b" * 700, "dir/c": b"c"}


def test_fast_that_ends_between_two_groups_is_no_success(device: Path, destination: Path) -> None:
    flip(pack_path(device, 4), 1)
    done = recover(device, "--fast", destination)
    assert done.returncode == 1
    assert "tar ended" not in done.stderr  # to tar it is a good archive that ends early
    assert "not everything was read" in done.stderr
    assert contents(destination) == LEFT_BY[4]


def test_failure_of_tar_is_not_lost_in_the_pipe(device: Path, destination: Path) -> None:
    (destination / "b/in the way").mkdir(parents=True)
    done = recover(device, destination)
    assert done.returncode == 1
    assert "tar ended with status 2" in done.stderr
    assert contents(destination).items() >= {"a": b"new", "f": b"f"}.items()


def test_death_of_tar_is_not_lost_in_the_pipe(device: Path, destination: Path, tmp_path: Path) -> None:
    dying = tmp_path / "dying tar"
    dying.write_text("#!/bin/sh\ncase $1 in -t) exit 0 ;; esac\nkill -9 $$\n")
    dying.chmod(0o755)
    done = subprocess.run(
        ["dash", device / "recover.sh", destination],
        env={**os.environ, "TAR": str(dying)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "tar ended with status 137" in done.stderr


@pytest.mark.parametrize("name", ["with space", "-dash", "new\nline\n", "*?[a]$(x)`y`\"'\\", "ünï", "%s%n"])
def test_any_path_of_device_and_destination(tmp_path: Path, name: str) -> None:
    device = make_device(tmp_path / "from" / name)
    destination = tmp_path / "to" / name
    destination.mkdir(parents=True)
    assert recover(device, destination).returncode == 0
    assert contents(destination) == ALL


def test_relative_paths_with_leading_dashes(tmp_path: Path) -> None:
    make_device(tmp_path / "-device")
    (tmp_path / "-to").mkdir()
    for arguments in (["./-device/recover.sh", "./-to"], ["./-device/recover.sh", "--", "-to"]):
        done = subprocess.run(["dash", *arguments], cwd=tmp_path, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        assert contents(tmp_path / "-to") == ALL


def test_started_inside_the_device_by_its_bare_name(device: Path, destination: Path) -> None:
    done = subprocess.run(["dash", "recover.sh", "../restored"], cwd=device, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert contents(destination) == ALL


@pytest.mark.parametrize("inside", [".", "new", "packs", "link"])
def test_destination_on_the_device_is_refused(device: Path, inside: str) -> None:
    (device / "new").mkdir()
    (device.parent / "link").symlink_to(device / "new")
    place = device.parent / "link" if inside == "link" else device / inside
    before = contents(device)
    done = recover(device, place)
    assert done.returncode == 2
    assert "is on the device itself" in done.stderr
    assert contents(device) == before


def test_destination_whose_name_begins_like_the_device_is_fine(device: Path) -> None:
    destination = device.with_name("device2")
    destination.mkdir()
    assert recover(device, destination).returncode == 0
    assert contents(destination) == ALL


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "usage:"),
        (("a", "b"), "usage:"),
        (("--list", "a"), "usage:"),
        (("--nonsense",), "unknown option --nonsense"),
        (("-x",), "unknown option -x"),
        (("nowhere",), "is not a directory; make it first"),
        (("",), "usage:"),
    ],
)
def test_wrong_use_is_told(device: Path, arguments: tuple[str, ...], reason: str) -> None:
    done = recover(device, *arguments)
    assert done.returncode == 2
    assert reason in done.stderr
    assert done.stdout == ""


def test_directory_that_is_no_device_is_refused(tmp_path: Path, destination: Path) -> None:
    (tmp_path / "music").mkdir()
    (tmp_path / "music/recover.sh").write_bytes(recover_script())
    done = recover(tmp_path / "music", destination)
    assert done.returncode == 2
    assert "is not a device" in done.stderr


def only(tmp_path: Path, *programs: str) -> str:
    """A PATH on which there are these programs and no others."""
    place = tmp_path / "only"
    place.mkdir()
    for program in programs:
        (place / program).symlink_to(require_tool(program))
    return str(place)


def test_nothing_but_zstd_and_tar_is_needed(device: Path, destination: Path, tmp_path: Path) -> None:
    pack_path(device, 0).unlink()
    done = recover(device, destination, path=only(tmp_path, "zstd", "tar"))
    assert "not found" not in done.stderr
    assert done.returncode == 1
    assert contents(destination) == LEFT_BY[0]


def test_missing_zstd_is_told(device: Path, destination: Path, tmp_path: Path) -> None:
    done = recover(device, destination, path=only(tmp_path, "tar"))
    assert done.returncode == 2
    assert "there is no zstd here" in done.stderr


def test_tar_that_cannot_read_on_is_refused(device: Path, destination: Path, tmp_path: Path) -> None:
    place = only(tmp_path, "zstd")
    (Path(place) / "tar").symlink_to(require_tool("busybox"))
    environment = {"PATH": place}
    done = subprocess.run(
        [require_tool("dash"), device / "recover.sh", destination],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "no tar here knows --ignore-zeros" in done.stderr
    assert contents(destination) == {}


@pytest.mark.parametrize("tar", ["tar", "bsdtar"])
@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "de_DE.ISO-8859-1"])
def test_names_beyond_ascii_in_any_locale(tmp_path: Path, destination: Path, tar: str, locale: str) -> None:
    raw = b"raw \xff\xfe " + b"x" * 100
    binary = member(raw.decode(errors="surrogateescape"), b"raw", pax={"hdrcharset": "BINARY"})
    names = ["ä" * 100, "ä", "a\u0308", "日本", "😀"]  # two differ in normalisation only
    device = make_device(tmp_path / "device", (Pack((binary, *(member(name, b"x") for name in names))),))
    environment = {"PATH": os.environ["PATH"], "LANG": locale, "TAR": require_tool(tar)}
    done = subprocess.run(
        ["dash", device / "recover.sh", destination], env=environment, capture_output=True, check=False
    )
    if tar == "bsdtar":  # it warns of each name; in a UTF-8 locale it would be silent, and change names
        assert done.returncode == 1
        assert b"restored them all the same" in done.stderr
    else:
        assert (done.returncode, done.stderr) == (0, b"")
    assert set(os.listdir(os.fsencode(destination))) == {raw, *(name.encode() for name in names)}


def test_extended_attributes_come_back(tmp_path: Path, destination: Path) -> None:
    tagged = member("tagged", b"x", pax={"SCHILY.xattr.user.colour": "red"})
    device = make_device(tmp_path / "device", (Pack((tagged,)),))
    assert recover(device, destination).returncode == 0
    assert os.getxattr(destination / "tagged", "user.colour") == b"red"


def test_recovery_text_names_the_device_and_fits_a_page() -> None:
    page = recovery_text("tape-room.7", "0f8fad5b-d9cb-469f-a165", "2031-01-02T03:04:05Z").decode()
    assert "Job tape-room.7, device 0f8fad5b-d9cb-469f-a165, prepared 2031-01-02T03:04:05Z.\n" in page
    assert "{" not in page
    assert page.count("\n") <= 60
    assert max(map(len, page.splitlines())) <= 120


def test_recover_script_is_a_posix_shell_script() -> None:
    script = recover_script()
    assert script.startswith(b"#!/bin/sh\n")
    assert b"\r" not in script
