"""What is copied comes back: every name, type, size and time, restored with the real stock tools."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.jobs.copy.copying import (
    CHUNK,
    KIB,
    MIB,
    PROFILE,
    assert_holds,
    copy,
    findings,
    packs,
    prepared,
    records_of,
    recover,
    run,
    unlike,
)
from tests.simulators.trees import large_file, make_sizes, nasty_tree, small_files


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tree of all that breaks copy programs, and a device that it was copied to."""
    place = tmp_path_factory.mktemp("nasty")
    source = place / "source"
    source.mkdir()
    nasty_tree(os.fsencode(source), chunk_size_bytes=CHUNK)
    for path, owner in ((b"names/0", (3_000_000, 2_999_999)), (b"names/~", (65_534, 7))):
        os.chown(os.path.join(os.fsencode(source), path), *owner)
    device = prepared(place / "device")
    done = copy(source, device, "--xattrs")
    assert (done.code, done.stderr) == (0, "")
    return source, device


def test_a_nasty_tree_comes_back_through_cat_zstd_and_tar(nasty: tuple[Path, Path], tmp_path: Path) -> None:
    source, device = nasty
    assert_holds(device, source, tmp_path / "out", xattrs=True)


def test_a_nasty_tree_comes_back_through_the_devices_own_script(
    nasty: tuple[Path, Path], tmp_path: Path
) -> None:
    source, device = nasty
    code, said = recover(device, tmp_path / "out")
    assert code == 0, said
    assert unlike(source, tmp_path / "out", xattrs=True) == []


def test_copying_a_nasty_tree_again_adds_nothing(nasty: tuple[Path, Path]) -> None:
    source, device = nasty
    before = packs(device)
    done = copy(source, device, "--xattrs")
    assert (done.code, done.document["entries"], packs(device)) == (0, 0, before)
    assert copy(source, device, "--xattrs", "--checksum").document["entries"] == 0
    assert packs(device) == before


def test_without_one_pack_all_other_groups_come_back(nasty: tuple[Path, Path], tmp_path: Path) -> None:
    source, device = nasty
    broken = tmp_path / "device"
    shutil.copytree(device, broken)
    lost = len(packs(device)) // 2
    os.unlink(broken / "packs" / f"{lost:08d}.tar.zst")
    code, said = recover(broken, tmp_path / "out")
    assert code == 1
    assert f"pack {lost:08d} is missing" in said
    wrong = unlike(source, tmp_path / "out", directory_times=False, hard_links=False)
    assert wrong
    assert all("is missing" in line for line in wrong)
    assert len(wrong) < 150


def test_attributes_are_left_out_unless_asked_for(tmp_path: Path, source: Path, device: Path) -> None:
    (source / "file").write_bytes(b"x")
    os.setxattr(source / "file", "user.note", b"1")
    assert copy(source, device).code == 0
    assert_holds(device, source, tmp_path / "out", xattrs=False)
    assert os.listxattr(tmp_path / "out" / "file") == []


@pytest.mark.parametrize("chunk_kib", [64, 1024])
def test_sizes_around_every_limit(tmp_path: Path, source: Path, chunk_kib: int) -> None:
    small_chunks = PROFILE.replace('"512KiB"', '"2MiB"')
    device = prepared(tmp_path / "device", profile=small_chunks.replace('"64KiB"', f'"{chunk_kib}KiB"'))
    make_sizes(os.fsencode(source) + b"/sizes", chunk_kib * KIB)
    assert copy(source, device).code == 0
    assert_holds(device, source, tmp_path / "out")
    limit = chunk_kib * KIB
    kinds = {path.removeprefix("sizes/"): kind for path, kind in records_of(device, 1)}
    assert kinds[str(limit)] == kinds[str(limit + 1)] == "file"


def test_an_empty_source_is_copied_and_sealed(tmp_path: Path, source: Path, device: Path) -> None:
    done = copy(source, device)
    assert (done.code, done.document["entries"], packs(device)) == (0, 0, [])
    assert run("seal", device).code == 0
    assert findings(device) == set()


def test_a_large_hole_costs_no_room(tmp_path: Path, source: Path, device: Path) -> None:
    with open(source / "hole", "wb", buffering=0) as file:
        os.pwrite(file.fileno(), b"end", 256 * MIB)
    done = copy(source, device)
    assert done.code == 0
    assert done.document["stored_bytes"] < 200 * KIB
    assert_holds(device, source, tmp_path / "out")


def test_a_file_runs_over_many_packs_among_small_ones(tmp_path: Path, source: Path, device: Path) -> None:
    (source / "a").write_bytes(b"before")
    large_file(os.fsencode(source / "b large"), 3 * MIB + 777, seed=1)
    (source / "c").write_bytes(b"behind")
    small_files(os.fsencode(source), 450, seed=2)
    assert copy(source, device).code == 0
    assert len(packs(device)) > 8
    assert all((device / "packs" / name).stat().st_size <= 512 * KIB for name in packs(device))
    assert_holds(device, source, tmp_path / "out")


def test_filters_choose_files_and_folders(tmp_path: Path, source: Path, device: Path) -> None:
    for name in ("keep/a.txt", "keep/b.tmp", "drop/c.txt", "keep/large.txt"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_bytes(b"x" * (3000 if "large" in name else 3))
    options = ("--exclude", "*.tmp", "--exclude", "/drop/**", "--max-size", "2k")
    assert copy(source, device, *options).code == 0
    assert [path for path, _ in records_of(device, 1)] == ["keep/", "keep/a.txt"]


def test_one_file_system_leaves_others_out_and_says_so(source: Path, device: Path) -> None:
    from tests.simulators.disks import tmpfs

    with tmpfs(MIB) as disk:
        (Path(disk.path) / "file").write_bytes(b"x")
        (source / "here").write_bytes(b"x")
        os.symlink(disk.path, source / "other")
        done = copy(source, device, "-x", "-L")
    assert done.code == 3
    assert done.problems == {"other/": "other-file-system"}


def test_links_are_followed_when_asked_and_circles_found(tmp_path: Path, source: Path, device: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "file").write_bytes(b"content")
    os.symlink(outside, source / "link")
    os.symlink("/nowhere/at/all", source / "dangling")
    os.symlink("self", source / "self")
    os.symlink(source, outside / "deep" / "circle")
    done = copy(source, device, "-L")
    assert done.code == 3
    assert done.problems == {"link/deep/circle/": "symlink-loop"}
    assert records_of(device, 1) == [
        ("dangling", "symlink"),
        ("link/", "directory"),
        ("link/deep/", "directory"),
        ("link/deep/circle/", "skipped"),
        ("link/deep/file", "file"),
        ("self", "symlink"),
    ]
    assert findings(device) == set()


def test_links_are_not_followed_unasked(tmp_path: Path, source: Path, device: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "file").write_bytes(b"secret")
    os.symlink(tmp_path / "secret", source / "link")
    assert copy(source, device).code == 0
    assert records_of(device, 1) == [("link", "symlink")]


def test_a_link_to_a_folder_that_becomes_followed_replaces_the_link(
    tmp_path: Path, source: Path, device: Path
) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "file").write_bytes(b"x")
    os.symlink(tmp_path / "target", source / "link")
    assert copy(source, device).code == 0
    assert copy(source, device, "-L").code == 0
    assert records_of(device, 2) == [
        ("link", "removed"),
        ("link/", "directory"),
        ("link/file", "file"),
    ]
    assert copy(source, device).code == 0
    assert [kind for _, kind in records_of(device, 3)] == ["symlink", "removed", "removed"]
    assert findings(device) == set()


def test_years_that_no_record_can_hold_do_not_break_the_device(source: Path, device: Path) -> None:
    (source / "far future").write_bytes(b"x")
    os.utime(source / "far future", (2**34, 2**34))
    assert copy(source, device).code == 0
    assert findings(device) == set()
    assert copy(source, device).document["entries"] == 0
