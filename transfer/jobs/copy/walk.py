"""The sorted walk of a source: every entry in path order (FORMAT.md §5), from a cursor on.

Each folder is read once, sorted, and left. A folder whose paths all sort before the cursor is never opened.
Memory: the names of the folders on the way to the current entry. Symbolic links are entries, not ways, unless
asked. Nothing is skipped silently: what cannot be copied is found with a reason.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from transfer.core.filters import Filter
from transfer.core.paths import MAX_PATH_BYTES, display
from transfer.errors import UsageError
from transfer.jobs.copy.beneath import Beneath


class Kind(Enum):
    """What the walk found at a path."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Found:
    """One entry: its path, what it is, its stat; for skipped and failed ones the reason instead."""

    path: bytes
    kind: Kind
    status: os.stat_result | None = None
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True)
class WalkOptions:
    """What the walk takes.

    Attributes:
        forbidden: (st_dev, st_ino) of the device's own folders: a walk that meets them is called off.
    """

    filter: Filter
    follow_links: bool = False
    one_file_system: bool = False
    forbidden: frozenset[tuple[int, int]] = frozenset()


@dataclass
class Walk:
    """One walk; `opened` counts the folders that were opened."""

    source: bytes
    options: WalkOptions
    opened: int = 0
    _ancestors: list[tuple[int, int]] = field(default_factory=list)

    def entries(self, after: bytes = b"") -> Iterator[Found]:
        """All entries behind path `after`, in order.

        Raises:
            OSError: the source folder itself cannot be read.
            UsageError: the walk came upon the device.
        """
        with Beneath(self.source, follow_links=self.options.follow_links) as folders:
            root = os.stat(self.source)
            self._device = root.st_dev
            self._ancestors = [(root.st_dev, root.st_ino)]
            yield from self._descend(folders, after)

    def _descend(self, folders: Beneath, after: bytes) -> Iterator[Found]:
        """An explicit stack instead of recursion: trees may be thousands of folders deep."""
        stack = [self._listing(folders, b"", after)]
        while stack:
            names = stack[-1]
            for found in names:
                # A folder that cannot be listed is recorded first: its failure has the same path.
                if found.path > after or (found.path == after and found.kind is Kind.FAILED):
                    yield found
                if found.kind is Kind.DIRECTORY and found.status is not None:
                    self._ancestors.append((found.status.st_dev, found.status.st_ino))
                    stack.append(self._listing(folders, found.path, after))
                    break
            else:
                stack.pop()
                self._ancestors.pop()

    def _listing(self, folders: Beneath, folder: bytes, after: bytes) -> Iterator[Found]:
        """What is in one folder behind `after`; a folder that holds it is found only to go into it."""
        try:
            names = self._names(folders, folder, after)
        except OSError as error:
            if not folder:
                raise
            yield failed(folder, error)
            return
        if len(folder) + max(map(len, names), default=0) > MAX_PATH_BYTES:
            names = [name for name in names if len(folder) + len(name) <= MAX_PATH_BYTES]
            yield Found(
                folder, Kind.FAILED, reason="name-too-long", detail="paths in it are over 65,535 bytes"
            )
        accepts = None if self.options.filter.is_empty else self.options.filter
        for name in names:
            if accepts is not None and not _passes(accepts, folder + name):
                continue
            found = self._look(folders, folder, name)
            if accepts is None or _has_right_size(accepts, found):
                yield found

    def _names(self, folders: Beneath, folder: bytes, after: bytes) -> list[bytes]:
        descriptor = folders.folder(folder)
        self.opened += 1
        follow = self.options.follow_links
        with os.scandir(descriptor) as listing:
            names = [_sort_name(entry, follow) for entry in listing]
        if after:
            names = [name for name in names if _reaches(folder + name, after)]
        names.sort()
        return names

    def _look(self, folders: Beneath, folder: bytes, name: bytes) -> Found:
        path = folder + name
        try:
            status = self._stat(folders, folder, name.rstrip(b"/"))
        except OSError as error:
            return failed(path, error)
        return self._classify(path, status)

    def _stat(self, folders: Beneath, folder: bytes, name: bytes) -> os.stat_result:
        """A link that leads nowhere stays a link, even when links are followed."""
        here = folders.folder(folder)
        if self.options.follow_links:
            try:
                return os.stat(name, dir_fd=here)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    raise
        return os.stat(name, dir_fd=here, follow_symlinks=False)

    def _classify(self, path: bytes, status: os.stat_result) -> Found:
        mode = status.st_mode
        if stat.S_ISDIR(mode) != path.endswith(b"/"):  # its place in the order was another type's
            return Found(path, Kind.FAILED, reason="changed", detail="became another type of thing")
        if stat.S_ISREG(mode):
            return Found(path, Kind.FILE, status)
        if stat.S_ISDIR(mode):
            return self._classify_folder(path, status)
        if stat.S_ISLNK(mode):
            return Found(path, Kind.SYMLINK, status)
        return Found(path, Kind.SKIPPED, status, reason=_SPECIAL.get(stat.S_IFMT(mode), "unknown-type"))

    def _classify_folder(self, path: bytes, status: os.stat_result) -> Found:
        identity = (status.st_dev, status.st_ino)
        if identity in self.options.forbidden:
            raise UsageError(
                f"the source leads to the device itself at {display(path)}",
                remedy="exclude that folder, or copy to a device elsewhere",
            )
        if self.options.one_file_system and status.st_dev != self._device:
            return Found(path, Kind.SKIPPED, reason="other-file-system")
        if self.options.follow_links and identity in self._ancestors:
            return Found(path, Kind.SKIPPED, reason="symlink-loop")
        return Found(path, Kind.DIRECTORY, status)


_SPECIAL = {
    stat.S_IFSOCK: "socket",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "character-device",
    stat.S_IFBLK: "block-device",
}

_REASONS = {
    errno.ENOENT: "vanished",
    errno.ENOTDIR: "vanished",
    errno.ESTALE: "vanished",
    errno.EACCES: "unreadable",
    errno.EPERM: "unreadable",
    errno.ENAMETOOLONG: "name-too-long",
    errno.ELOOP: "changed",
}


def failure_reason(error: OSError) -> str:
    """The reason of FORMAT.md §10 for an error met at the source."""
    return _REASONS.get(error.errno or 0, "io-error")


def failed(path: bytes, error: OSError) -> Found:
    """A failed entry from the error met there."""
    return Found(path, Kind.FAILED, reason=failure_reason(error), detail=error.strerror or str(error))


def _sort_name(entry: os.DirEntry[str], follow: bool) -> bytes:
    name = os.fsencode(entry.name)
    try:
        is_folder = entry.is_dir(follow_symlinks=follow)
    except OSError:  # a link that leads in circles or where nobody may look
        is_folder = False
    return name + b"/" if is_folder else name


def _reaches(path: bytes, after: bytes) -> bool:
    """Whether `path`, or for a folder anything in it, sorts behind `after`."""
    return path > after or (path.endswith(b"/") and after.startswith(path))


def _passes(accepts: Filter, path: bytes) -> bool:
    return accepts.may_descend(path) if path.endswith(b"/") else accepts.accepts_file(path)


def _has_right_size(accepts: Filter, found: Found) -> bool:
    if found.kind is not Kind.FILE or found.status is None:
        return True
    return accepts.accepts_file(found.path, found.status.st_size)
