"""Nothing outside of the directory is ever written, whatever device and directory hold."""

from __future__ import annotations

import ctypes
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.golden.build import Run, folder, metadata, small
from tests.jobs.restore.restoring import failures, made_device, nothing_outside, restore, symlink, tree_of
from transfer.core.paths import path_defect
from transfer.core.records import Hardlink
from transfer.core.stream_rules import path_fields
from transfer.jobs.restore.tree import ObstacleError, Tree, is_partial_name

POLICIES = ("same", "skip", "overwrite", "newer", "fail")


@pytest.mark.parametrize("policy", POLICIES)
def test_a_link_of_the_device_is_never_a_way(tmp_path: Path, policy: str) -> None:
    """The same path is a link that leads out, and a folder with files, folders and links in it."""

    def first(run: Run) -> None:
        run.batch(symlink(b"a", b"../precious"), small(b"a/file", b"evil"), folder(b"a/folder/", mtime_ns=5))
        run.batch(symlink(b"a/link", b"x"), folder(b"b/"), symlink(b"b/c", b"/"), small(b"b/c/tmp-evil", b""))

    def second(run: Run) -> None:
        run.batch(small(b"a/file", b"more evil", mtime_ns=7), symlink(b"b", b"../precious"))

    device = made_device(tmp_path / "device", first, second)
    with nothing_outside(tmp_path / "place") as target:
        for _ in range(2):
            done = restore(device, target, "--if-exists", policy)
            if policy in ("skip", "newer"):
                assert (done.code, failures(done)) == (0, {})
                assert done.document["skipped"] >= 2
            else:
                assert done.code == 3
                assert {"a", "b"} <= failures(done).keys()
            assert (target / "a/file").read_bytes() == b"more evil"
            assert not (target / "a").is_symlink()
            assert not (target / "b").is_symlink()


@pytest.mark.parametrize("policy", POLICIES)
def test_a_link_in_the_directory_is_never_a_way(tmp_path: Path, policy: str) -> None:
    def fill(run: Run) -> None:
        run.batch(folder(b"a/", mtime_ns=5), small(b"a/file", b"evil"), folder(b"a/folder/", mtime_ns=5))
        run.batch(small(b"b", b"evil"), symlink(b"c", b"elsewhere"), folder(b"d/"), symlink(b"d/e", b"x"))

    device = made_device(tmp_path / "device", fill)
    with nothing_outside(tmp_path / "place") as target:
        for name in "acd":
            (target / name).symlink_to("../precious")
        (target / "b").symlink_to("../precious/file")
        done = restore(device, target, "--if-exists", policy)
        if policy == "overwrite":
            assert (done.code, failures(done)) == (0, {})
            assert (target / "a/file").read_bytes() == (target / "b").read_bytes() == b"evil"
            assert not (target / "a").is_symlink()
        else:
            assert done.code == 3
            assert "symbolic link, which is not followed" in failures(done)["a/file"]
            assert os.readlink(target / "a") == "../precious"


def test_a_hard_link_reaches_nothing_outside(tmp_path: Path) -> None:
    """Its file is a link that leads out by the time that it is made."""
    inode: dict[str, Any] = {"inode": 7, "volume": 7}

    def fill(run: Run) -> None:
        link = Hardlink(**metadata(b"b"), size_bytes=8, **path_fields(b"a/file", "target"), **inode)
        run.batch(folder(b"a/"), small(b"a/file", b"precious", **inode), link)

    device = made_device(tmp_path / "device", fill)
    with nothing_outside(tmp_path / "place") as target:
        (target / "a").symlink_to("../precious")
        done = restore(device, target)
        assert {"a/file", "b"} <= failures(done).keys()
        assert not os.path.lexists(target / "b")


def exchange(one: Path, other: Path) -> None:
    """Both names change places in one moment (renameat2 with RENAME_EXCHANGE)."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = -100  # AT_FDCWD
    if libc.renameat2(here, os.fsencode(one), here, os.fsencode(other), 2):
        raise OSError(ctypes.get_errno(), "renameat2")


def test_a_folder_swapped_for_a_link_meanwhile_is_not_followed(tmp_path: Path) -> None:
    """Another thread swaps folder and link as fast as it can while files are written to it."""

    def fill(run: Run) -> None:
        run.batch(folder(b"a/"))
        for number in range(30):
            files = [small(b"a/%03d-%02d/file" % (number, one), b"evil") for one in range(20)]
            run.batch(*files)

    device = made_device(tmp_path / "device", fill)
    over = threading.Event()
    swaps = 0

    with nothing_outside(tmp_path / "place") as target:
        (target / "a").mkdir()
        (target / "link").symlink_to("../precious")

        def swap() -> None:
            nonlocal swaps
            while not over.is_set():
                exchange(target / "a", target / "link")
                swaps += 1

        swapping = threading.Thread(target=swap)
        swapping.start()
        try:
            codes = [restore(device, target, "--if-exists", "newer").code for _ in range(3)]
        finally:
            over.set()
            swapping.join()
        assert set(codes) <= {0, 3}
        assert swaps > 10


def test_a_link_that_comes_at_the_worst_moment_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks sees a folder, whoever opens gets the link."""
    device = made_device(
        tmp_path / "device", lambda run: run.batch(folder(b"a/", mtime_ns=5), small(b"a/file", b"evil"))
    )
    really_open, swaps = os.open, 0

    with nothing_outside(tmp_path / "place") as target:
        (target / "a").mkdir()
        (target / "link").symlink_to("../precious")

        def open_swapped(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            nonlocal swaps
            if path != b"a":
                return really_open(path, flags, mode, dir_fd=dir_fd)
            swaps += 1
            exchange(target / "a", target / "link")
            try:
                return really_open(path, flags, mode, dir_fd=dir_fd)
            finally:
                exchange(target / "a", target / "link")

        monkeypatch.setattr(os, "open", open_swapped)
        done = restore(device, target, "--if-exists", "skip")
        assert failures(done).keys() == {"a/", "a/file"}
        assert swaps >= 2


NAMES = st.one_of(
    st.sampled_from([b"..", b".", b"", b"out", b"in", b"precious", b"file", b"\0", b"..\0", b"a" * 255]),
    st.binary(min_size=1, max_size=8),
)


@settings(max_examples=60)
@given(st.lists(st.lists(NAMES, min_size=1, max_size=4).map(b"/".join), max_size=8))
def test_whatever_the_paths_are_the_tree_stays_beneath(paths: list[bytes]) -> None:
    """Without the rules of records in front of it: the last word is the tree's own."""
    with tempfile.TemporaryDirectory() as place, nothing_outside(Path(place) / "x") as target:
        (target / "out").symlink_to("../precious")
        root = os.open(target, os.O_RDONLY)
        tree = Tree(root, makes=True)
        try:
            for path in paths:
                try:
                    found = os.readlink(b"/proc/self/fd/%d" % tree.folder(path + b"/"))
                except (ObstacleError, OSError):
                    assert path_defect(path + b"/") or b"out" in path.split(b"/") or is_partial_name(path)
                else:
                    assert found == os.path.join(os.fsencode(target), path)
        finally:
            tree.close()
            os.close(root)


def test_names_of_unfinished_files_are_restore_s_own(tmp_path: Path) -> None:
    name = b".transfer-restore-0123456789abcdef.partial"
    device = made_device(tmp_path / "device", lambda run: run.batch(small(name, b"x"), small(b"a", b"a")))
    with nothing_outside(tmp_path / "place") as target:
        done = restore(device, target)
        assert (done.code, tree_of(target)) == (3, ["a"])
        assert "unfinished files" in failures(done)[name.decode()]


def test_only_what_an_earlier_restore_left_unfinished_is_removed(tmp_path: Path) -> None:
    left = ".transfer-restore-0123456789abcdef.partial"
    others = [
        left + "x",
        "x" + left,
        ".transfer-restore-0123456789ABCDEF.partial",
        ".transfer-restore-.partial",
    ]
    device = made_device(tmp_path / "device", lambda run: run.batch(folder(b"f/"), small(b"f/a", b"a")))
    with nothing_outside(tmp_path / "place") as target:
        for at in (target, target / "f"):
            at.mkdir(exist_ok=True)
            (at / left).symlink_to(target.parent / "precious/file")
            for name in others:
                (at / name).write_bytes(b"")
        assert restore(device, target).code == 0
        assert {path.name for path in (target / "f").iterdir()} == {*others, "a"}
        assert {path.name for path in target.iterdir()} == {*others, "f"}
