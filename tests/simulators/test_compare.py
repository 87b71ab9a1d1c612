"""compare: finds each kind of difference, and nothing between equal trees."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulators.compare import differences
from tests.simulators.trees import make_long_path, nasty_tree
from tests.tools import require_tool

KIB64 = 65536


def make_pair(tmp_path: Path) -> tuple[Path, Path]:
    for root in (tmp_path / "expected", tmp_path / "actual"):
        (root / "folder").mkdir(parents=True)
        (root / "file").write_bytes(b"content")
        (root / "one").write_bytes(b"shared")
        os.link(root / "one", root / "folder/two")
        (root / "link").symlink_to("file")
        os.mkfifo(root / "fifo")
        for name in ("file", "one", "fifo", "link", "folder"):
            os.utime(root / name, ns=(5, 5), follow_symlinks=False)
    return tmp_path / "expected", tmp_path / "actual"


def again(path: Path) -> None:
    """Put an entry's time back after a change, so that the change itself is what is found."""
    os.utime(path, ns=(5, 5), follow_symlinks=False)


def change_content(root: Path) -> None:
    (root / "file").write_bytes(b"CONTENT")
    again(root / "file")


def change_type(root: Path) -> None:
    (root / "file").unlink()
    (root / "file").symlink_to("elsewhere")


def change_target(root: Path) -> None:
    (root / "link").unlink()
    (root / "link").symlink_to("other")
    again(root / "link")


def split_hard_link(root: Path) -> None:
    (root / "folder/two").unlink()
    shutil.copy2(root / "one", root / "folder/two")
    again(root / "folder")


def change_size(root: Path) -> None:
    (root / "file").write_bytes(b"12345678")
    again(root / "file")


def touch(name: str) -> Callable[[Path], None]:
    return lambda root: os.utime(root / name, ns=(5, 6), follow_symlinks=False)


ALONE = "is one file with no other, not with"
CHANGES: list[tuple[Callable[[Path], object], list[str]]] = [
    (change_content, ["b'file': content is '"]),
    (change_size, ["b'file': content", "b'file': size is 8, not 7"]),
    (change_type, ["b'file': is a symlink, not a file"]),
    (change_target, ["b'link': target is b'other', not b'file'"]),
    (split_hard_link, [f"b'folder/two': {ALONE} b'one'", f"b'one': {ALONE} b'folder/two'"]),
    (lambda root: (root / "file").unlink(), ["b'file': is missing (file)"]),
    (lambda root: (root / "new").mkdir(), ["b'new/': is there and should not be (directory)"]),
    (touch("file"), ["b'file': mtime_ns is 6, not 5"]),
    (touch("folder"), ["b'folder/': mtime_ns is 6, not 5"]),
    (touch("link"), ["b'link': mtime_ns is 6, not 5"]),
    (lambda root: (root / "file").chmod(0o4640), ["b'file': mode is 0o4640, not 0o644"]),
    (lambda root: (root / "folder").chmod(0o1700), ["b'folder/': mode is 0o1700, not 0o755"]),
    (lambda root: os.lchown(root / "link", 7, -1), ["b'link': uid is 7, not 0"]),
    (lambda root: os.chown(root / "file", -1, 8), ["b'file': gid is 8, not 0"]),
    (lambda root: os.setxattr(root / "file", "user.a", b"1"), ["b'file': xattrs is {'user.a': b'1'}, not"]),
    (
        lambda root: os.setxattr(root / "folder", "user.a", b""),
        ["b'folder/': xattrs is {'user.a': b''}, not"],
    ),
]


def test_equal_trees_have_no_difference(tmp_path: Path) -> None:
    expected, actual = make_pair(tmp_path)
    assert differences(bytes(expected), bytes(actual), xattrs=True) == []


@pytest.mark.parametrize(("change", "lines"), CHANGES)
def test_each_kind_of_difference_is_found_and_only_it(
    tmp_path: Path, change: Callable[[Path], object], lines: list[str]
) -> None:
    expected, actual = make_pair(tmp_path)
    change(actual)
    found = differences(bytes(expected), bytes(actual), xattrs=True)
    assert len(found) == len(lines)
    assert all(line.startswith(start) for line, start in zip(found, lines, strict=True)), found


@pytest.mark.parametrize(
    ("option", "change"),
    [
        ("owners", lambda root: os.chown(root / "file", 7, 8)),
        ("modes", lambda root: (root / "file").chmod(0o600)),
        ("times", lambda root: os.utime(root / "file", ns=(5, 6))),
        ("directory_times", lambda root: os.utime(root / "folder", ns=(5, 6))),
        ("hard_links", split_hard_link),
        ("xattrs", lambda root: os.setxattr(root / "file", "user.a", b"1")),
    ],
)
def test_an_option_turned_off_leaves_its_differences_out(
    tmp_path: Path, option: str, change: Callable[[Path], object]
) -> None:
    expected, actual = make_pair(tmp_path)
    change(actual)
    assert differences(bytes(expected), bytes(actual), **{option: True})
    assert differences(bytes(expected), bytes(actual), **{option: False}) == []


def test_ignored_paths_and_all_below_them_are_left_out(tmp_path: Path) -> None:
    expected, actual = make_pair(tmp_path)
    change_content(actual)
    (actual / "folder/more").mkdir()
    again(actual / "folder")
    assert len(differences(bytes(expected), bytes(actual))) == 2
    left_out = {b"file", b"folder/more/"}
    assert differences(bytes(expected), bytes(actual), ignore=left_out.__contains__) == []


def test_difference_at_the_end_of_a_path_beyond_path_max(tmp_path: Path) -> None:
    expected, actual = tmp_path / "expected", tmp_path / "actual"
    for root in (expected, actual):
        root.mkdir()
        path = make_long_path(bytes(root), 4500)
    lines = differences(bytes(expected), bytes(actual), times=False, directory_times=False)
    assert lines == []
    where, name = path.rsplit(b"/", 1)
    here = os.open(bytes(actual), os.O_RDONLY)
    for folder in where.split(b"/"):
        below = os.open(folder, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.unlink(name, dir_fd=here)
    os.close(here)
    lines = differences(bytes(expected), bytes(actual), times=False, directory_times=False)
    assert lines == [f"{path!r}: is missing (file)"]


def test_a_copy_by_tar_of_everything_nasty_is_equal(tmp_path: Path) -> None:
    tar = require_tool("tar")
    expected, actual = bytes(tmp_path / "expected"), bytes(tmp_path / "actual")
    os.mkdir(expected)
    os.mkdir(actual)
    nasty_tree(expected, chunk_size_bytes=KIB64)
    options = [b"--format=pax", b"--xattrs", b"--xattrs-include=*", b"--sort=name"]
    create = [tar.encode(), b"-c", *options, b"-C", expected, b"-f", b"-", b"."]
    with subprocess.Popen(create, stdout=subprocess.PIPE) as reading:
        extract = [tar.encode(), b"-x", b"-p", b"--xattrs", b"--xattrs-include=*", b"-C", actual, b"-f", b"-"]
        subprocess.run(extract, stdin=reading.stdout, check=True)
    assert reading.returncode == 0
    assert differences(expected, actual, xattrs=True) == []
