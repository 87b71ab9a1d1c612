"""Copying to a device that holds older runs: only what is new or changed is added; the newest comes back."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.jobs.copy.copying import (
    CHUNK,
    assert_holds,
    copy,
    findings,
    merged,
    packs,
    records_of,
    restore,
    run,
    unlike,
)
from tests.simulators.trees import large_file, small_files


def filled(source: Path) -> Path:
    for name in ("a/one", "a/two", "b/deep/three", "c"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(name.encode())
    large_file(os.fsencode(source / "large"), 4 * CHUNK + 1, seed=1)
    return source


def everything(device: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file and folder of a device."""
    names = [path for path in device.rglob("*") if path.name != "LOCK"] + [device]
    return {os.fspath(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in names}


def test_an_unchanged_source_adds_nothing(source: Path, device: Path) -> None:
    assert copy(filled(source), device).code == 0
    before = packs(device)
    done = copy(source, device)
    assert (done.code, done.document["unchanged"], packs(device)) == (0, 5, before)


def test_only_what_is_new_or_changed_is_added(tmp_path: Path, source: Path, device: Path) -> None:
    assert copy(filled(source), device).code == 0
    (source / "a" / "new").write_bytes(b"new")
    (source / "c").write_bytes(b"longer than before")
    os.utime(source / "b" / "deep" / "three", ns=(1, 1))
    done = copy(source, device)
    assert done.document["files"] == 3
    assert records_of(device, 2) == [
        ("a/", "directory"),
        ("a/new", "file"),
        ("b/", "directory"),
        ("b/deep/", "directory"),
        ("b/deep/three", "file"),
        ("c", "file"),
    ]
    assert_holds(device, source, tmp_path / "out")


def test_a_file_that_changes_in_place_leaves_the_time_of_its_folder_right(
    tmp_path: Path, source: Path, device: Path
) -> None:
    """Unpacking it would give its folder a new time; so the folder is recorded once more before it."""
    filled(source)
    for folder in ("a", "b/deep", "b"):
        os.utime(source / folder, ns=(0, 1_000_000_007))
    assert copy(source, device).code == 0
    with open(source / "b" / "deep" / "three", "r+b") as file:
        file.write(b"B")
    assert copy(source, device).code == 0
    assert [path for path, _ in records_of(device, 2)] == ["b/", "b/deep/", "b/deep/three"]
    assert_holds(device, source, tmp_path / "out")


def test_what_was_deleted_at_the_source_stays(tmp_path: Path, source: Path, device: Path) -> None:
    assert copy(filled(source), device).code == 0
    shutil.rmtree(source / "b")
    assert copy(source, device).code == 0
    assert (restore(device, tmp_path / "out") / "b" / "deep" / "three").exists()


def test_a_file_that_becomes_a_folder_and_back(tmp_path: Path, source: Path, device: Path) -> None:
    assert copy(filled(source), device).code == 0
    os.unlink(source / "c")
    (source / "c" / "inner").mkdir(parents=True)
    (source / "c" / "inner" / "file").write_bytes(b"x")
    assert copy(source, device).code == 0
    assert records_of(device, 2) == [
        ("c", "removed"),
        ("c/", "directory"),
        ("c/inner/", "directory"),
        ("c/inner/file", "file"),
    ]
    assert "c" not in merged(device)
    assert_holds(device, source, tmp_path / "folder")

    shutil.rmtree(source / "c")
    os.symlink("a", source / "c")
    assert copy(source, device).code == 0
    assert records_of(device, 3) == [
        ("c", "symlink"),
        ("c/", "removed"),
        ("c/inner/", "removed"),
        ("c/inner/file", "removed"),
    ]
    assert findings(device) == set()
    assert {path for path in merged(device) if path.startswith("c")} == {"c"}


def test_a_folder_within_a_removed_one_leaves_no_entry_behind(source: Path, device: Path) -> None:
    """What stood above is a file now: whatever was beneath is void."""
    assert copy(filled(source), device).code == 0
    shutil.rmtree(source / "b")
    (source / "b").write_bytes(b"file now")
    assert copy(source, device).code == 0
    assert set(merged(device)) == {"a/", "a/one", "a/two", "b", "c", "large"}
    assert copy(source, device).document["entries"] == 0


def test_dry_run_says_what_it_would_do_and_writes_nothing(source: Path, device: Path) -> None:
    filled(source)
    os.mkfifo(source / "pipe")
    before = everything(device)
    done = copy(source, device, "--dry-run")
    assert (done.code, done.problems) == (3, {"pipe": "fifo"})
    size = sum(path.stat().st_size for path in source.rglob("*") if path.is_file())
    assert (done.document["left_files"], done.document["left_bytes"]) == (5, size)
    assert everything(device) == before
    assert copy(source, device).code == 3
    done = copy(source, device, "-n")
    assert (done.document["left_files"], done.document["left_bytes"]) == (0, 0)


@pytest.mark.parametrize(("size", "linked"), [(100, True), (100, False), (5 * CHUNK, True)])
def test_checksum_finds_what_size_and_time_do_not_show(
    tmp_path: Path, source: Path, device: Path, size: int, linked: bool
) -> None:
    (source / "d").mkdir()
    (source / "d" / "other").write_bytes(b"same")
    (source / "z").write_bytes(b"behind: tar is done with the folder when it gets here")
    large_file(os.fsencode(source / "d" / "file"), size, seed=1)
    if linked:
        os.link(source / "d" / "file", source / "d" / "link")
    assert copy(source, device).code == 0
    status, folder = (source / "d" / "file").stat(), (source / "d").stat()
    large_file(os.fsencode(source / "d" / "file"), size, seed=2)
    os.utime(source / "d" / "file", ns=(status.st_atime_ns, status.st_mtime_ns))
    os.utime(source / "d", ns=(folder.st_atime_ns, folder.st_mtime_ns))
    assert copy(source, device).document["entries"] == 0
    done = copy(source, device, "--checksum")
    assert done.code == 0, (done, done.document)
    assert done.document["files"] == 1 + linked
    assert_holds(device, source, tmp_path / "out")
    before = packs(device)
    assert copy(source, device, "--checksum").document["entries"] == 0
    assert packs(device) == before


def test_a_new_link_to_an_old_file(tmp_path: Path, source: Path, device: Path) -> None:
    (source / "a").write_bytes(b"content")
    (source / "z").write_bytes(b"another")
    assert copy(source, device).code == 0
    os.link(source / "a", source / "b")
    os.link(source / "z", source / "before z")
    assert copy(source, device).code == 0
    assert_holds(device, source, tmp_path / "out")
    assert copy(source, device).document["entries"] == 0


def test_linked_files_whose_content_changes(tmp_path: Path, source: Path, device: Path) -> None:
    (source / "a").write_bytes(b"content")
    os.link(source / "a", source / "b")
    assert copy(source, device).code == 0
    (source / "a").write_bytes(b"changed in both")
    assert copy(source, device).code == 0
    assert_holds(device, source, tmp_path / "changed")
    os.unlink(source / "a")
    (source / "c").write_bytes(b"c")
    assert copy(source, device).code == 0
    assert ("b", "file") in records_of(device, 3)
    assert findings(device) == set()


def test_a_link_with_another_target_and_the_old_time(tmp_path: Path, source: Path, device: Path) -> None:
    os.symlink("one", source / "link")
    os.utime(source / "link", ns=(5, 5), follow_symlinks=False)
    assert copy(source, device).code == 0
    os.unlink(source / "link")
    os.symlink("two", source / "link")
    os.utime(source / "link", ns=(5, 5), follow_symlinks=False)
    assert copy(source, device).code == 0
    assert_holds(device, source, tmp_path / "out")


def test_two_sources_share_a_device(tmp_path: Path, source: Path, device: Path) -> None:
    other = tmp_path / "other"
    (other / "x").mkdir(parents=True)
    (other / "x" / "file").write_bytes(b"of the other")
    assert copy(filled(source), device).code == 0
    assert copy(other, device).code == 0
    assert findings(device) == set()
    restored = restore(device, tmp_path / "out")
    assert unlike(other / "x", restored / "x") == []
    assert unlike(source / "a", restored / "a") == []


def test_many_small_changes_over_many_runs(tmp_path: Path, source: Path, device: Path) -> None:
    small_files(os.fsencode(source), 300, seed=3)
    names = sorted(path for path in source.rglob("*") if path.is_file())
    assert copy(source, device).code == 0
    for number in range(1, 4):
        for path in names[number::7]:
            path.write_bytes(b"run %d" % number * number)
        (source / f"new {number}").write_bytes(b"new")
        assert copy(source, device).code == 0
    assert run("info", device).code == 0
    assert_holds(device, source, tmp_path / "out")
