"""Reading one small file, symbolic link or folder of the source for what must be kept of it. Used in the
worker processes.

A file is read whole and compared with its own stat before and after: one that changed meanwhile is read
    again, up
to `ATTEMPTS` times, then kept as it was read last and marked as changed. A change that leaves size and mtime
alone cannot be seen.
"""

from __future__ import annotations

import base64
import errno
import grp
import os
import pwd
import stat
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from transfer.core.stream_rules import MAX_XATTRS_BYTES

ATTEMPTS = 3
OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | getattr(os, "O_NOATIME", 0)
_MAX_TIME_NS = 2**63 - 1


class ChangedTypeError(OSError):
    """The path is no regular file any more."""


class Content(NamedTuple):
    """A small file as it was read."""

    data: bytes
    status: os.stat_result
    changed: bool
    xattrs: dict[str, str]
    xattrs_omitted: bool


def open_file(folder: int, name: bytes, *, follow_links: bool) -> tuple[int, os.stat_result]:
    """A descriptor of a regular file, and its stat; its access time is left alone where the owner asks.

    Raises:
        OSError: it is gone, unreadable, or (ChangedTypeError) something else by now.
    """
    flags = OPEN_FLAGS if follow_links else OPEN_FLAGS | os.O_NOFOLLOW
    try:
        descriptor = os.open(name, flags, dir_fd=folder)
    except PermissionError:  # O_NOATIME is for the owner alone
        descriptor = os.open(name, flags & ~getattr(os, "O_NOATIME", 0), dir_fd=folder)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise ChangedTypeError(errno.ELOOP, "became another type of thing")
    return descriptor, status


def read_small(
    folder: int, name: bytes, limit_bytes: int, *, follow_links: bool, xattrs: bool
) -> Content | None:
    """A small file with its metadata; None when it grew beyond the limit by now.

    Raises:
        OSError: it cannot be read.
    """
    descriptor, before = open_file(folder, name, follow_links=follow_links)
    try:
        for attempts_left in reversed(range(ATTEMPTS)):
            if before.st_size > limit_bytes:
                return None
            data = _read_all(descriptor, before.st_size)
            after = os.fstat(descriptor)
            steady = len(data) == after.st_size and same_content(before, after)
            if steady or (not attempts_left and len(data) <= limit_bytes):
                kept, omitted = read_xattrs(descriptor) if xattrs else ({}, False)
                return Content(data, after, not steady, kept, omitted)
            before = after
    finally:
        os.close(descriptor)
    return None


def same_content(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether two stats of an open file say that nothing was written in between."""
    return before.st_mtime_ns == after.st_mtime_ns and before.st_size == after.st_size


def _read_all(descriptor: int, size: int) -> bytes:
    """The file from its start; one byte more than it should have is asked for, to see it grow."""
    data = os.pread(descriptor, size + 1, 0)
    if len(data) >= size:
        return data
    parts = [data]
    length = len(data)
    while length < size:
        part = os.pread(descriptor, size + 1 - length, length)
        if not part:
            break
        parts.append(part)
        length += len(part)
    return b"".join(parts)


def read_xattrs(place: int | bytes, *, follow_links: bool = True) -> tuple[dict[str, str], bool]:
    """Extended attributes (name to base64), and whether there were some that could not be kept.

    Args:
        place: an open file, or a path.
        follow_links: whether those of a link's target are meant; for paths only.
    """
    if not hasattr(os, "listxattr"):
        return {}, True
    follow: dict[str, Any] = {} if isinstance(place, int) else {"follow_symlinks": follow_links}
    try:
        values = {name: os.getxattr(place, name, **follow) for name in os.listxattr(place, **follow)}
    except OSError as error:
        return {}, error.errno != errno.ENOTSUP  # a file system without them has none to lose
    if not _can_be_kept(values):
        return {}, True
    return {name: base64.b64encode(value).decode() for name, value in values.items()}, False


def _can_be_kept(values: Mapping[str, bytes]) -> bool:
    """Whether names and size are within FORMAT.md §10."""
    size = sum(len(os.fsencode(name)) + len(value) for name, value in values.items())
    return size <= MAX_XATTRS_BYTES and all("=" not in name and _is_text(name) for name in values)


def _is_text(name: str) -> bool:
    """Whether a name from the system is Unicode: Python spells stray bytes as surrogates (PEP 383)."""
    return not any(0xD800 <= ord(char) < 0xE000 for char in name)


def mtime_of(status: os.stat_result) -> int:
    """The modification time in ns; beyond what FORMAT.md §10 can say (the years 1677 to 2262) the nearest of
    it."""
    return max(-_MAX_TIME_NS, min(_MAX_TIME_NS, status.st_mtime_ns))


@lru_cache(maxsize=4096)
def user_name(uid: int) -> str:
    """The name of a user of this host; empty when it has none that is text."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return ""
    return name[:256] if _is_text(name) else ""


@lru_cache(maxsize=4096)
def group_name(gid: int) -> str:
    """The name of a group of this host; empty when it has none that is text."""
    try:
        name = grp.getgrgid(gid).gr_name
    except (KeyError, OverflowError):
        return ""
    return name[:256] if _is_text(name) else ""
