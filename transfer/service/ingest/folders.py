"""The folders of a dock, seen from outside: their names, and whether something in them has changed.

Nothing is opened but folders, nothing is followed that is a link, and how much is read is bounded, whatever
lies there. Runs in threads: a disk may take its time.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from itertools import islice

from blake3 import blake3

from transfer.device.layout import FORMATTED_DISK_NAMES, PACKS, SEGMENTS

MAX_FOLDERS = 10_000
MAX_ENTRIES = 1_000_000  # names in one folder that are looked at; a pack and a segment each 16 TB / 64 MiB
_MAX_TOP_ENTRIES = 1_000


@dataclass(frozen=True, slots=True)
class DockListing:
    """What is in a dock.

    Attributes:
        folders: names of what may be a device, in order.
        links: names of symbolic links.
        is_cut: there is more than MAX_FOLDERS, the rest was not looked at.
    """

    folders: list[str]
    links: list[str]
    is_cut: bool


def list_dock(root: str, limit: int = MAX_FOLDERS) -> DockListing:
    """The names in a dock that matter: no hidden ones, no files, nothing that disks have by themselves.

    Raises:
        OSError: it is gone, or cannot be read.
    """
    folders: list[str] = []
    links: list[str] = []
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name in FORMATTED_DISK_NAMES:
                continue
            if entry.is_symlink() or entry.is_dir(follow_symlinks=False):
                if len(folders) + len(links) == limit:
                    return DockListing(sorted(folders), sorted(links), is_cut=True)
                (links if entry.is_symlink() else folders).append(entry.name)
    return DockListing(sorted(folders), sorted(links), is_cut=False)


def fingerprint(root: str, *, deep: bool) -> str:
    """A digest that is another one when something in a folder has changed; an error is part of it.

    Args:
        root: of what may be a device.
        deep: look at every pack and segment; else only at what stands beside them, and at their folders,
            whose times change with every name in them.
    """
    hasher = blake3()
    try:
        hasher.update(_facts(root, os.lstat(root)))
        names = _names(root, _MAX_TOP_ENTRIES)
        for name in names:
            hasher.update(_facts(name, os.lstat(os.path.join(root, name))))
        for folder in (PACKS, SEGMENTS) if deep else ():
            if folder in names:
                _add_folder(hasher, os.path.join(root, folder))
    except OSError as error:
        hasher.update(f"{error.errno}".encode())
    return hasher.hexdigest()


def _add_folder(hasher: blake3, path: str) -> None:
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        return
    for name in _names(path, MAX_ENTRIES):
        hasher.update(_facts(name, os.lstat(os.path.join(path, name))))


def _names(path: str, limit: int) -> list[str]:
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in islice(entries, limit))


def _facts(name: str, status: os.stat_result) -> bytes:
    times = f"{status.st_mtime_ns} {status.st_ctime_ns}"
    return os.fsencode(name) + f"\0{status.st_mode} {status.st_size} {times}\0".encode()
