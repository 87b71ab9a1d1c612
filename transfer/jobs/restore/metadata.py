"""Owner, extended attributes, rights and times of what was restored, in an order in which each one lasts.

To change the owner takes away set-user-id bits and capabilities, so it comes first; times come last. Numbers
count, not names: uid and gid are set as recorded. Where owner or group are not those of the record, the
set-user-id and set-group-id bits are left out: they would lend other rights than they did at the source.
What cannot be set comes back as text; it never costs the content.
"""

from __future__ import annotations

import base64
import errno
import os
import stat
from collections.abc import Callable
from typing import Protocol

_FATAL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


class Told(Protocol):
    """What is told of a file or folder: a record, or what of it goes to a worker."""

    mode: int
    mtime_ns: int
    uid: int
    gid: int
    xattrs: dict[str, str]


def set_metadata(descriptor: int, record: Told, *, sets_owner: bool) -> list[str]:
    """Set all that a record tells on an open file or folder; what could not be set, and why.

    Raises:
        OSError: the disk is full, read-only, or failed.
    """
    if not (record.xattrs or record.mode & (stat.S_ISUID | stat.S_ISGID)):
        try:
            if sets_owner:
                os.chown(descriptor, record.uid, record.gid)
            os.chmod(descriptor, record.mode)
            os.utime(descriptor, ns=(record.mtime_ns, record.mtime_ns))
        except (OSError, OverflowError):
            pass  # one by one, to tell which it was
        else:
            return []
    problems: list[str] = []
    if sets_owner:
        _try(problems, "owner", lambda: os.chown(descriptor, record.uid, record.gid))
    if record.xattrs:
        set_xattrs(descriptor, record, problems)
    _try(problems, "mode", lambda: os.chmod(descriptor, _mode_for(descriptor, record, problems)))
    _try(problems, "time", lambda: os.utime(descriptor, ns=(record.mtime_ns, record.mtime_ns)))
    return problems


def set_link_metadata(folder: int, name: bytes, record: Told, *, sets_owner: bool) -> list[str]:
    """The same on a symbolic link itself, which has no rights of its own."""
    problems: list[str] = []
    if sets_owner:
        _try(
            problems,
            "owner",
            lambda: os.chown(name, record.uid, record.gid, dir_fd=folder, follow_symlinks=False),
        )
    if record.xattrs:
        set_xattrs(b"/proc/self/fd/%d/%b" % (folder, name), record, problems)
    times = (record.mtime_ns, record.mtime_ns)
    _try(problems, "time", lambda: os.utime(name, ns=times, dir_fd=folder, follow_symlinks=False))
    return problems


def set_xattrs(place: int | bytes, record: Told, problems: list[str]) -> None:
    """Set a record's extended attributes on a descriptor, or on a path whose last name is not followed."""
    if not hasattr(os, "setxattr"):
        problems.append("extended attributes: this system has no call for them")
        return
    follows = isinstance(place, int)
    for name, value in record.xattrs.items():
        try:
            os.setxattr(place, name.encode(), base64.b64decode(value), follow_symlinks=follows)
        except OSError as error:
            problems.append(f"extended attribute {name[:80]}: {error.strerror}")


def _mode_for(descriptor: int, record: Told, problems: list[str]) -> int:
    """The mode without the bits that would lend the rights of somebody else."""
    special = record.mode & (stat.S_ISUID | stat.S_ISGID)
    if not special:
        return record.mode
    found = os.fstat(descriptor)
    if stat.S_ISDIR(found.st_mode) or (found.st_uid, found.st_gid) == (record.uid, record.gid):
        return record.mode
    problems.append("set-user-id and set-group-id: the owner is another")
    return record.mode & ~special


def _try(problems: list[str], what: str, change: Callable[[], None]) -> None:
    try:
        change()
    except OverflowError:
        problems.append(f"{what}: beyond what this system can tell")
    except OSError as error:
        if error.errno in _FATAL:
            raise
        problems.append(f"{what}: {error.strerror}")
