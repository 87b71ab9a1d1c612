"""Whether what a device has of an entry is what the source has, as far as a stat says."""

from __future__ import annotations

import os

from transfer.core.paths import parent
from transfer.core.records import Directory, File, Hardlink
from transfer.jobs.copy.reading import mtime_of
from transfer.jobs.copy.work import Stat
from transfer.jobs.filling.known import OnDevice


def stat_of(status: os.stat_result) -> Stat:
    """What the records keep of a stat."""
    return status.st_mode & 0o7777, mtime_of(status), status.st_uid, status.st_gid


def metadata_of(entry: Directory) -> Stat:
    """The same of a record."""
    return entry.mode, entry.mtime_ns, entry.uid, entry.gid


def same_stat(entry: File | Hardlink, status: os.stat_result) -> bool:
    """Whether a file has the size and time that were recorded."""
    return (entry.size_bytes, entry.mtime_ns) == (status.st_size, mtime_of(status))


def trusted(known: OnDevice, status: os.stat_result) -> File | None:
    """The file that the device has of a path, if it is worth comparing with: whole, and linked as it is
    now."""
    entry = known.entry
    if not isinstance(entry, File) or entry.changed or known.trouble:
        return None
    # A hard link may name only what is recorded as having several names.
    return entry if status.st_nlink == 1 or entry.inode is not None else None


def room_of(status: os.stat_result) -> int:
    """What is to be stored of a large file at the most, as far as its stat says: holes take no room."""
    return max(1, min(status.st_size, status.st_blocks * 512))


def name_of(path: bytes) -> bytes:
    """The last component of a path; a folder's with its slash."""
    return path[len(parent(path)) :]
