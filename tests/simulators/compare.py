"""Compares two directory trees in full: what a restore must be equal in.

Knows every name and depth that the file system can hold: it walks by directory descriptors and never builds
an absolute path. It follows no symbolic link. Of the two roots only what is below them is compared.
It does not compare access and change times, nor where the holes of sparse files are.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from blake3 import blake3

_TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}


@dataclass(frozen=True)
class _Entry:
    """What is compared of one entry: a word for each thing, and its value."""

    facts: dict[str, object]
    inode: tuple[int, int] | None = field(default=None)


def differences(
    expected: bytes,
    actual: bytes,
    *,
    owners: bool = True,
    xattrs: bool = False,
    hard_links: bool = True,
    modes: bool = True,
    times: bool = True,
    directory_times: bool = True,
    ignore: Callable[[bytes], bool] = lambda _path: False,
) -> list[str]:
    """Compare two trees; an empty list says that they are equal.

    Args:
        expected: root of the tree that ought to be.
        actual: root of the tree that is.
        owners: compare uid and gid.
        xattrs: compare extended attributes, names and values.
        hard_links: compare which names are one file.
        modes: compare the twelve permission bits (never those of symbolic links).
        times: compare mtime_ns of all but directories.
        directory_times: compare mtime_ns of directories.
        ignore: given a path below the root (a directory's ends in `/`), says whether to leave it out, with
            all that is below it.

    Returns:
        One line a difference, in order of paths: the path's repr, then what differs.
    """

    def wanted(fact: str, entry: _Entry) -> bool:
        if fact == "mtime_ns":
            return directory_times if entry.facts["type"] == "directory" else times
        return {"uid": owners, "gid": owners, "mode": modes}.get(fact, True)

    left, right = (_scan(root, xattrs, ignore) for root in (expected, actual))
    found: list[tuple[bytes, str]] = []
    for path in left.keys() | right.keys():
        if path not in right:
            found.append((path, f"is missing ({left[path].facts['type']})"))
        elif path not in left:
            found.append((path, f"is there and should not be ({right[path].facts['type']})"))
        else:
            found += ((path, line) for line in _compare(left[path], right[path], wanted))
    if hard_links:
        found += _compare_names(_names_of_files(left), _names_of_files(right))
    return [f"{path!r}: {line}" for path, line in sorted(found)]


def _compare(left: _Entry, right: _Entry, wanted: Callable[[str, _Entry], bool]) -> Iterator[str]:
    if left.facts["type"] != right.facts["type"]:
        yield f"is a {right.facts['type']}, not a {left.facts['type']}"
        return
    for fact, value in left.facts.items():
        if value != right.facts[fact] and wanted(fact, left):
            yield f"{fact} is {_shown(fact, right.facts[fact])}, not {_shown(fact, value)}"


def _shown(fact: str, value: object) -> str:
    return f"{value:#o}" if fact == "mode" else repr(value)


def _names_of_files(tree: dict[bytes, _Entry]) -> dict[bytes, frozenset[bytes]]:
    """For each path that is no directory, all paths that are the same file."""
    groups: dict[tuple[int, int], set[bytes]] = {}
    for path, entry in tree.items():
        if entry.inode:
            groups.setdefault(entry.inode, set()).add(path)
    return {path: frozenset(group) for group in groups.values() for path in group}


def _compare_names(
    left: dict[bytes, frozenset[bytes]], right: dict[bytes, frozenset[bytes]]
) -> Iterator[tuple[bytes, str]]:
    for path in left.keys() & right.keys():
        if left[path] != right[path]:
            yield path, f"is one file with {_others(path, right[path])}, not with {_others(path, left[path])}"


def _others(path: bytes, group: frozenset[bytes]) -> str:
    return ", ".join(map(repr, sorted(group - {path}))) or "no other"


def _scan(root: bytes, xattrs: bool, ignore: Callable[[bytes], bool]) -> dict[bytes, _Entry]:
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return dict(_scan_directory(here, b"", xattrs, ignore))
    finally:
        os.close(here)


def _scan_directory(
    here: int, prefix: bytes, xattrs: bool, ignore: Callable[[bytes], bool]
) -> Iterator[tuple[bytes, _Entry]]:
    for name in map(os.fsencode, os.listdir(here)):
        status = os.stat(name, dir_fd=here, follow_symlinks=False)
        is_directory = stat.S_ISDIR(status.st_mode)
        path = prefix + name + b"/" * is_directory
        if ignore(path):
            continue
        yield path, _entry(here, name, status, xattrs)
        if is_directory:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            try:
                yield from _scan_directory(below, path, xattrs, ignore)
            finally:
                os.close(below)


def _entry(here: int, name: bytes, status: os.stat_result, xattrs: bool) -> _Entry:
    kind = stat.S_IFMT(status.st_mode)
    facts: dict[str, object] = {
        "type": _TYPES[kind],
        "mtime_ns": status.st_mtime_ns,
        "uid": status.st_uid,
        "gid": status.st_gid,
    }
    if kind == stat.S_IFLNK:
        facts["target"] = os.readlink(name, dir_fd=here)
    else:
        facts["mode"] = stat.S_IMODE(status.st_mode)
    if kind == stat.S_IFREG:
        facts["size"] = status.st_size
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        facts["device"] = status.st_rdev
    if kind in (stat.S_IFREG, stat.S_IFDIR) and (kind == stat.S_IFREG or xattrs):
        facts |= _inside(here, name, kind == stat.S_IFREG, xattrs)
    return _Entry(facts, None if kind == stat.S_IFDIR else (status.st_dev, status.st_ino))


def _inside(here: int, name: bytes, is_file: bool, xattrs: bool) -> dict[str, object]:
    """The facts that take an open file: content and extended attributes."""
    facts: dict[str, object] = {}
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=here)
    try:
        if is_file:
            facts["content"] = _digest(file)
        if xattrs:
            facts["xattrs"] = {key: os.getxattr(file, key) for key in sorted(os.listxattr(file))}
    finally:
        os.close(file)
    return facts


def _digest(file: int) -> str:
    hasher = blake3()
    while block := os.read(file, 1 << 20):
        hasher.update(block)
    return hasher.hexdigest()
