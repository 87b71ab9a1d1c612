"""recover.sh with the real programs: what is whole comes back, what is lost is named, nothing is made up."""

from __future__ import annotations

import os
import subprocess
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.device.hand_made import (
    ALL,
    LEFT_BY,
    MTIME,
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
from transfer.device.recovery import recovery_text


@pytest.fixture
def device(tmp_path: Path) -> Path:
    return make_device(tmp_path / "device")


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    place = tmp_path / "restored"
    place.mkdir()
    return place


@pytest.mark.parametrize("tar", ["tar", "bsdtar"])
@pytest.mark.parametrize(
    "shell", [("dash",), ("busybox", "sh"), ("bash", "--posix")], ids=lambda shell: shell[0]
)
def test_whole_device_comes_back(device: Path, destination: Path, shell: tuple[str, ...], tar: str) -> None:
    before = {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in device.rglob("*") if path.is_file()
    }
    done = recover(device, destination, shell=shell, tar=tar)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert contents(destination) == ALL
    assert state(device) == before


def test_modes_and_times_of_files_and_directories_come_back(device: Path, destination: Path) -> None:
    assert recover(device, destination).returncode == 0
    for name, mode in (("dir", 0o40750), ("dir/c", 0o100640), ("a", 0o100640)):
        status = (destination / name).stat()
        assert (status.st_mode, status.st_mtime) == (mode, MTIME)


def test_umask_of_an_ordinary_user_takes_nothing_from_modes() -> None:
    with TemporaryDirectory() as place:  # unlike pytest's own, one that can be opened to other users
        device, destination = make_device(Path(place, "device")), Path(place, "restored")
        destination.mkdir()
        for folder, mode in ((place, 0o755), (destination, 0o777)):
            os.chmod(folder, mode)
        user = 65534 if os.geteuid() == 0 else None
        command = ["dash", device / "recover.sh", destination]
        subprocess.run(command, user=user, umask=0o077, check=True)
        assert (destination / "dir").stat().st_mode == 0o40750
        assert (destination / "a").stat().st_mode == 0o100640


def test_the_line_of_recovery_txt_restores_the_same(device: Path, destination: Path) -> None:
    page = recovery_text("job", "id", "now").decode()
    line = next(line.strip() for line in page.splitlines() if line.strip().startswith("cat packs/*"))
    line = line.replace("/some/empty/place", '"$1"')
    subprocess.run(["sh", "-c", line, "sh", destination], cwd=device, check=True)
    assert contents(destination) == ALL


@pytest.mark.parametrize("shell", SHELLS[:2], ids=lambda shell: shell[0])
@pytest.mark.parametrize("lost", range(5))
def test_missing_pack_takes_its_group_and_nothing_else(
    device: Path, destination: Path, lost: int, shell: tuple[str, ...]
) -> None:
    pack_path(device, lost).unlink()
    done = recover(device, destination, shell=shell)
    assert done.returncode == 1
    assert f"pack {lost:08} is missing" in done.stderr
    assert f"LOST: packs {RANGE_OF[lost]};" in done.stderr
    assert contents(destination) == LEFT_BY[lost]


@pytest.mark.parametrize("lost", range(5))
def test_flipped_byte_takes_its_group_and_nothing_else(device: Path, destination: Path, lost: int) -> None:
    flip(pack_path(device, lost), 20)
    done = recover(device, destination)
    assert done.returncode == 1
    assert f"pack {lost:08} is damaged" in done.stderr
    assert f"LOST: packs {RANGE_OF[lost]};" in done.stderr
    assert contents(destination) == LEFT_BY[lost]


@pytest.mark.parametrize("keep", ["nothing", "first frame"])
def test_pack_cut_between_frames_is_damaged(device: Path, destination: Path, keep: str) -> None:
    length = 0 if keep == "nothing" else len(zstd(PACKS[2].frames[0]))
    os.truncate(pack_path(device, 2), length)
    done = recover(device, destination)
    assert done.returncode == 1
    assert "pack 00000002 is damaged" in done.stderr
    assert contents(destination) == LEFT_BY[2]


def test_several_groups_lost_at_once(device: Path, destination: Path) -> None:
    pack_path(device, 0).unlink()
    flip(pack_path(device, 3), 20)
    done = recover(device, destination)
    assert done.returncode == 1
    assert "LOST: packs 00000000 to 00000000, 00000001 to 00000003;" in done.stderr
    assert contents(destination) == {"a": b"new", "f": b"f"}


def test_all_groups_lost(device: Path, destination: Path) -> None:
    for number in (0, 2, 4):
        pack_path(device, number).unlink()
    done = recover(device, destination)
    assert done.returncode == 1
    assert "tar ended" not in done.stderr
    assert contents(destination) == {}


@pytest.mark.parametrize("lost", range(5))
@pytest.mark.parametrize("how", ["missing", "garbage", "empty"])
def test_lost_segment_alone_loses_no_data(device: Path, destination: Path, lost: int, how: str) -> None:
    if how == "missing":
        segment_path(device, lost).unlink()
    else:
        segment_path(device, lost).write_bytes(b"\x28garbage" if how == "garbage" else b"")
    done = recover(device, destination)
    assert done.returncode == 0
    assert f"segment {lost:08} is missing or damaged" in done.stderr
    assert contents(destination) == ALL


def test_pack_without_segment_shares_the_fate_of_the_pack_before_it(device: Path, destination: Path) -> None:
    segment_path(device, 4).unlink()
    flip(pack_path(device, 2), 20)
    done = recover(device, destination)
    assert done.returncode == 1
    assert "LOST: packs 00000001 to 00000004;" in done.stderr
    assert contents(destination) == {"a": b"old", "b": b"b" * 700}


@pytest.mark.parametrize(
    "written_as", ['"name": "00000004.tar.zst"', '"name":"00000004.tar.zst"', '"packs/00000004.tar.zst"']
)
def test_pack_missing_with_its_segment_at_the_end_is_known_by_the_seal(
    device: Path, destination: Path, written_as: str
) -> None:
    (device / "SEAL.json").write_text('{"job":"00000005.tar.zst",\n"packs":[{' + written_as + "}]}\n")
    pack_path(device, 4).unlink()
    segment_path(device, 4).unlink()
    done = recover(device, destination)
    assert done.returncode == 1
    assert "pack 00000004 is missing" in done.stderr
    assert "pack 00000005" not in done.stderr
    assert "LOST: packs 00000001 to 00000004;" in done.stderr  # nothing says any more that pack 4 began anew
    assert contents(destination) == {"a": b"old", "b": b"b" * 700}


def test_pack_missing_at_the_end_is_known_by_its_segment(tmp_path: Path, destination: Path) -> None:
    device = make_device(tmp_path / "device", sealed=False)
    pack_path(device, 4).unlink()
    done = recover(device, destination)
    assert done.returncode == 1
    assert "LOST: packs 00000004 to 00000004;" in done.stderr
    assert contents(destination) == LEFT_BY[4]


def test_pack_missing_with_its_segment_in_the_middle_is_noticed(device: Path, destination: Path) -> None:
    pack_path(device, 2).unlink()
    segment_path(device, 2).unlink()
    done = recover(device, destination)
    assert done.returncode == 1
    assert contents(destination) == LEFT_BY[2]


def test_without_seal_all_that_is_there_comes_back_with_a_warning(tmp_path: Path, destination: Path) -> None:
    device = make_device(tmp_path / "device", sealed=False)
    (device / "packs/00000005.tar.zst.partial").write_bytes(b"half a pack")
    done = recover(device, destination)
    assert done.returncode == 0
    assert done.stderr == (
        "recover.sh: there is no SEAL.json: packs missing at the end of the device cannot be noticed\n"
    )
    assert contents(destination) == ALL


@pytest.mark.parametrize("tar", ["tar", "bsdtar"])
def test_device_that_ends_inside_a_file_says_so(tmp_path: Path, destination: Path, tar: str) -> None:
    device = make_device(tmp_path / "device", PACKS[:3], sealed=False)
    done = recover(device, destination, tar=tar)
    assert done.returncode == 1
    assert "the device ends in the middle of a file" in done.stderr
    assert "LOST: packs what follows pack 00000002;" in done.stderr
    assert f"tar ended with status {2 if tar == 'tar' else 1}" in done.stderr
    assert contents(destination).items() >= {"a": b"old", "b": b"b" * 700, "dir/c": b"c"}.items()


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("options", [("--list",), ("DESTINATION",)])
def test_device_without_packs(
    tmp_path: Path, destination: Path, sealed: bool, options: tuple[str, ...]
) -> None:
    device = make_device(tmp_path / "device", (), sealed=sealed)
    done = recover(device, *(destination if option == "DESTINATION" else option for option in options))
    assert done.returncode == 0
    assert "holds no packs" in done.stderr
    assert contents(destination) == {}


@st.composite
def layouts(draw: st.DrawFn) -> tuple[list[int], set[int], set[int]]:
    """Packs per group; numbers of damaged packs; numbers of lost segments."""
    groups = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    numbers = st.sets(st.integers(0, sum(groups) - 1), max_size=3)
    return groups, draw(numbers), draw(numbers)


@settings(max_examples=30, deadline=None)
@given(layouts())
def test_any_loss_leaves_exactly_the_groups_it_did_not_touch(
    layout: tuple[list[int], set[int], set[int]],
) -> None:
    groups, damaged, lost_segments = layout
    packs: list[Pack] = []
    kept: dict[str, bytes] = {}
    fate = True  # of the group that a pack joins when nothing says that it begins one
    files_of_fate: list[tuple[str, bytes]] = []
    for index, count in enumerate(groups):
        first, name, content = len(packs), f"file{index}", bytes([index + 1]) * 3000
        whole = member(name, content)
        cuts = [0, *(512 + 1024 * i for i in range(1, count)), len(whole)]
        packs += [
            Pack((whole[start:end],), starts=i == 0, ends=i == count - 1)
            for i, (start, end) in enumerate(pairwise(cuts))
        ]
        if first == 0 or first not in lost_segments:
            kept |= dict(files_of_fate) if fate else {}
            fate, files_of_fate = True, []
        fate = fate and not damaged & set(range(first, first + count))
        files_of_fate.append((name, content))
    kept |= dict(files_of_fate) if fate else {}

    with TemporaryDirectory() as place:
        device = make_device(Path(place, "device"), tuple(packs))
        destination = Path(place, "restored")
        destination.mkdir()
        for number in damaged:
            flip(pack_path(device, number), 12)
        for number in lost_segments:
            segment_path(device, number).unlink()
        done = recover(device, destination)
        assert contents(destination) == kept
        assert done.returncode == (1 if damaged else 0)
