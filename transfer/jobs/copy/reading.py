"""Reading one small file, symbolic link or folder of the source for what must be kept of it. Used in the worker processes.

A file is read whole and compared with its own stat before and after: one that changed meanwhile is read again, up to `ATTEMPTS` times,
then kept as it was read last and marked as changed.
"""

from __future__ import annotations

import base64
import errno
import grp
import os
import pwd
import stat
from functools import lru_cache
from typing import NamedTuple

from transfer.core.stream_rules import MAX_XATTRS_BYTES

ATTEMPTS = 3
OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | getattr(os, "O_NOATIME", 0)
_NO_XATTRS = frozenset({errno.ENOTSUP, errno.EPERM, errno.EACCES, errno.ENOENT})


class ChangedTypeError(OSError):
    """The path is no regular file any more."""


class Content(NamedTuple):
    """A small file as it was read."""

    data: bytes
    status: os.stat_result
    changed: bool
    xattrs: dict[str, str]
    xattrs_omitted: bool


def open_file(folder: int, name: bytes, *, follow_links: bool) -> int:
    """A descriptor of a regular file; its access time is left alone where the owner may ask for that.

    Raises:
        OSError: it is gone, unreadable, or (ChangedTypeError) something else by now.
    """
    flags = OPEN_FLAGS if follow_links else OPEN_FLAGS | os.O_NOFOLLOW
    try:
        descriptor = os.open(name, flags, dir_fd=folder)
    except PermissionError:  # O_NOATIME is for the owner alone
        descriptor = os.open(name, flags & ~getattr(os, "O_NOATIME", 0), dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ChangedTypeError(errno.ELOOP, "became another type of thing")
    return descriptor


def read_small(folder: int, name: bytes, limit_bytes: int, *, follow_links: bool, xattrs: bool) -> Content | None:
    """A small file with its metadata; None when it grew beyond the limit by now.

    Raises:
        OSError: it cannot be read.
    """
    descriptor = open_file(folder, name, follow_links=follow_links)
    try:
        for attempt in range(ATTEMPTS):
            before = os.fstat(descriptor)
            if before.st_size > limit_bytes:
                return None
            data = _read_all(descriptor, before.st_size)
            after = os.fstat(descriptor)
            steady = len(data) == after.st_size and same_content(before, after)
            if steady or (attempt + 1 == ATTEMPTS and len(data) <= limit_bytes):
                kept, omitted = read_xattrs(descriptor) if xattrs else ({}, False)
                return Content(data, after, not steady, kept, omitted)
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
    """Extended attributes (name to base64), and whether some could not be kept."""
    if not hasattr(os, "listxattr"):
        return {}, True
    try:
        names = os.listxattr(place, follow_symlinks=follow_links) if isinstance(place, bytes) else os.listxattr(place)
        kept: dict[str, str] = {}
        size = 0
        for name in names:
            value = os.getxattr(place, name, follow_symlinks=follow_links) if isinstance(place, bytes) else os.getxattr(place, name)
            size += len(name.encode(errors="surrogateescape")) + len(value)
            if size > MAX_XATTRS_BYTES or "=" in name or not _is_text(name):
                return {}, True
            kept[name] = base64.b64encode(value).decode()
    except OSError as error:
        return {}, error.errno not in _NO_XATTRS
    return kept, False


def _is_text(name: str) -> bool:
    return not any(0xD800 <= ord(char) < 0xE000 for char in name)


@lru_cache(maxsize=4096)
def user_name(uid: int) -> str:
    """The name of a user of this host; empty when it has none."""
    try:
        return pwd.getpwuid(uid).pw_name[:256]
    except (KeyError, OverflowError):
        return ""


@lru_cache(maxsize=4096)
def group_name(gid: int) -> str:
    """The name of a group of this host; empty when it has none."""
    try:
        return grp.getgrgid(gid).gr_name[:256]
    except (KeyError, OverflowError):
        return ""
