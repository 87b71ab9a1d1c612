"""What is to be done: the walk of the source merged with what the device has, cut into batches and large
files.

Both sides are sorted streams, so this needs no memory beyond the folders on the way. An entry is the same
when its size and mtime are those of the newest record (a link: mtime and target; a folder: its metadata);
with `checksum` the content decides. Rules:

- A further name of an inode becomes a hard link only when its first name was seen in this walk, or on the
  device, with the same size and mtime.
- What failed or was skipped before and does so again for the same reason is reported, not recorded again.
  What can be read again is stored again: only a newer entry takes the record of the failure away.
- A folder that is the same is recorded all the same before anything new in it: unpacking that sets its mtime.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace

from transfer.core.paths import parent
from transfer.core.records import Directory, Entry, File, Hardlink, Symlink
from transfer.jobs.copy.alike import metadata_of, name_of, room_of, same_stat, stat_of, trusted
from transfer.jobs.copy.beneath import Beneath
from transfer.jobs.copy.links import FirstName, LinkTable
from transfer.jobs.copy.reading import mtime_of
from transfer.jobs.copy.walk import Found, Kind
from transfer.jobs.copy.work import (
    Batch,
    LargeFile,
    Order,
    PutDirectory,
    PutHardlink,
    PutProblem,
    PutRemoved,
    ReadFile,
    ReadLink,
    Stat,
)
from transfer.jobs.filling.known import Known, OnDevice
from transfer.jobs.filling.outcome import Problem
from transfer.jobs.filling.work import Counts

Work = Batch | LargeFile


@dataclass(frozen=True)
class PlanRules:
    """How entries are compared, and how work is cut.

    Attributes:
        hard_links: further names of a file become links; else each is stored whole.
        leaves: what another device of the set has is left to that, even if it changed.
    """

    small_limit_bytes: int
    batch_size_bytes: int
    batch_entries: int
    checksum: bool = False
    follow_links: bool = False
    hard_links: bool = True
    leaves: bool = False


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder that is on the device already.

    Attributes:
        is_passed: a file in it was given out to be compared, and is stored if it differs: a record of the
            folder would come too late in this pass.
    """

    path: bytes
    status: Stat
    is_passed: bool = False


class Plan:
    """Turns what the walk finds into work."""

    def __init__(
        self,
        source: bytes,
        rules: PlanRules,
        known: Known,
        links: LinkTable,
        on_problem: Callable[[Problem], None],
    ) -> None:
        self.counts = Counts()
        self._source = source
        self._rules = rules
        self._known = known
        self._links = links
        self._on_problem = on_problem
        self._batch = Batch()
        self._kept: list[_Folder] = []
        self._doubtful: _Folder | None = None

    def work(self, found: Iterator[Found], behind: bytes = b"") -> Generator[Work, None, None]:
        """All work, in path order.

        Args:
            found: by the walk.
            behind: another device has what is up to this path: folders that it is in are recorded here once
                more, before what is new in them.
        """
        with Beneath(self._source, follow_links=self._rules.follow_links) as folders:
            self._folders = folders
            self._kept = list(self._folders_above(behind))
            for item in found:
                if self._doubtful is not None:
                    yield from self._settle(self._doubtful, item)
                yield from self._replaced(self._known.before(item.path))
                yield from self._take(item)
            if self._doubtful is not None:
                yield from self._settle(self._doubtful, None)
            yield from self._replaced(self._known.rest())
        if self._batch.orders:
            yield self._batch
        self.counts.is_complete = True

    def _folders_above(self, path: bytes) -> Iterator[_Folder]:
        end = path.find(b"/") + 1
        while end:
            try:
                status = self._stat(parent(path[:end]), name_of(path[:end]).rstrip(b"/"))
            except OSError:  # it is gone, and nothing new will be in it
                return
            if stat.S_ISDIR(status.st_mode):
                yield _Folder(path[:end], stat_of(status))
            end = path.find(b"/", end) + 1

    def _settle(self, folder: _Folder, next_item: Found | None) -> Iterator[Work]:
        """A folder that could not be listed before: when it can be now, a new record says so."""
        self._doubtful = None
        if next_item is None or next_item.path != folder.path:
            yield from self._add(folder.path, PutDirectory(name_of(folder.path), folder.status))

    def _replaced(self, gone: Iterator[OnDevice]) -> Iterator[Work]:
        """What the walk did not meet: void when the source has another type of thing there by now, else
        kept."""
        for known in gone:
            if self._is_replaced(known.path):
                yield from self._add(known.path, PutRemoved(name_of(known.path)))

    def _take(self, item: Found) -> Iterator[Work]:
        self.counts.entries += 1
        if item.kind in (Kind.FAILED, Kind.SKIPPED):
            yield from self._problem(item, self._known.at(item.path))
            return
        known, status = self._known.at(item.path), item.status
        if status is None:
            raise AssertionError("an entry without its stat")
        if known.elsewhere is not None and self._is_elsewhere(item, status, known.elsewhere):
            return
        if known.elsewhere is not None and known.entry is None and self._rules.leaves:
            return
        match item.kind:
            case Kind.FILE:
                yield from self._file(item.path, status, known)
            case Kind.DIRECTORY:
                yield from self._directory(item.path, stat_of(status), known)
            case _:
                if not self._is_same_symlink(item.path, status, known):
                    yield from self._add(item.path, ReadLink(name_of(item.path), stat_of(status)))

    def _is_elsewhere(self, item: Found, status: os.stat_result, entry: Entry) -> bool:
        """Whether another device of the set has the entry as it is: it is not stored twice."""
        match entry:
            case File() | Hardlink() if item.kind is Kind.FILE and same_stat(entry, status):
                is_whole = isinstance(entry, Hardlink) or not entry.changed
                self.counts.files += is_whole
                self.counts.unchanged += is_whole
                return is_whole
            case Symlink() if item.kind is Kind.SYMLINK:
                return self._is_same_symlink(item.path, status, OnDevice(item.path, entry))
            case Directory() if item.kind is Kind.DIRECTORY and metadata_of(entry) == stat_of(status):
                self._drop_kept(item.path)
                self._kept.append(_Folder(item.path, stat_of(status)))
                return True
        return False

    def _problem(self, item: Found, known: OnDevice) -> Iterator[Work]:
        is_skipped = item.kind is Kind.SKIPPED
        if known.reason == item.reason:
            kind = "skipped" if is_skipped else "failed"
            self._on_problem(Problem(item.path, kind, item.reason, item.detail))
            return
        order = PutProblem(name_of(item.path), is_skipped, item.reason, item.detail)
        yield from self._add(item.path, order)

    def _directory(self, path: bytes, status: Stat, known: OnDevice) -> Iterator[Work]:
        entry = known.entry
        is_same = isinstance(entry, Directory) and metadata_of(entry) == status
        if not is_same or self._links.is_outdated(path):
            yield from self._add(path, PutDirectory(name_of(path), status))
        elif known.trouble is not None:
            self._doubtful = _Folder(path, status)
        else:
            self._drop_kept(path)
            self._kept.append(_Folder(path, status))

    def _is_same_symlink(self, path: bytes, status: os.stat_result, known: OnDevice) -> bool:
        entry = known.entry
        if known.trouble or not isinstance(entry, Symlink) or entry.mtime_ns != mtime_of(status):
            return False
        try:
            target = os.readlink(name_of(path), dir_fd=self._folders.folder(parent(path)))
        except OSError:  # whoever reads it for the record meets it again
            return False
        return target == entry.target_bytes

    def _file(self, path: bytes, status: os.stat_result, known: OnDevice) -> Iterator[Work]:
        self.counts.files += 1
        first = self._first_name(status)
        if first is not None and not self._was_striped(known, status):
            yield from self._link(path, status, known, first)
            return
        entry = trusted(known, status)
        is_same = entry is not None and not self._rules.checksum and same_stat(entry, status)
        if status.st_nlink > 1:
            is_new = entry is None or not (self._rules.checksum or is_same)
            name = FirstName(path, status.st_size, mtime_of(status), is_new)
            self._links.remember(status.st_dev, status.st_ino, name)
        if is_same:
            self.counts.unchanged += 1
            return
        compares = entry is not None and self._rules.checksum and entry.size_bytes == status.st_size
        yield from self._read(path, status, entry.blake3 if entry and compares else "", known.reason)

    def _read(
        self, path: bytes, status: os.stat_result, known_blake3: str, known_reason: str
    ) -> Iterator[Work]:
        self.counts.bytes += status.st_size
        if known_blake3:
            self._drop_kept(path)
            self._kept = [replace(folder, is_passed=True) for folder in self._kept]
        else:
            yield from self._record_folders(path)
        if status.st_size <= self._rules.small_limit_bytes:
            yield from self._put(path, ReadFile(name_of(path), known_blake3, known_reason), status.st_size)
            return
        if self._batch.orders:
            yield self._cut()
        yield LargeFile(path, room_of(status), known_reason, known_blake3)

    def _first_name(self, status: os.stat_result) -> FirstName | None:
        """The earlier path with this very content, for a file that has several names."""
        if status.st_nlink == 1 or not self._rules.hard_links:
            return None
        first = self._links.find(status.st_dev, status.st_ino)
        if first is None or (first.size_bytes, first.mtime_ns) != (status.st_size, mtime_of(status)):
            return None
        return None if self._links.is_unread(first.path) else first

    def _was_striped(self, known: OnDevice, status: os.stat_result) -> bool:
        """Whether a further name was stored as a file when several devices were filled at once."""
        entry = trusted(known, status)
        return self._rules.leaves and entry is not None and same_stat(entry, status)

    def _link(self, path: bytes, status: os.stat_result, known: OnDevice, first: FirstName) -> Iterator[Work]:
        entry = known.entry
        is_same = (
            isinstance(entry, Hardlink) and entry.target_bytes == first.path and same_stat(entry, status)
        )
        is_outdated = self._links.is_stored_anew(first.path) or self._links.is_stale(path)
        if is_same and not (known.trouble or first.is_new or is_outdated):
            self._links.keep(path, first.path)
            self.counts.unchanged += 1
            return
        order = PutHardlink(
            name_of(path), stat_of(status), status.st_size, first.path, status.st_ino, status.st_dev
        )
        yield from self._add(path, order)

    def _add(self, path: bytes, order: Order) -> Iterator[Work]:
        yield from self._record_folders(path)
        yield from self._put(path, order, 0)

    def _put(self, path: bytes, order: Order, size_bytes: int) -> Iterator[Work]:
        rules, batch = self._rules, self._batch
        is_full = batch.orders >= rules.batch_entries
        if batch.orders and (is_full or batch.content_bytes + size_bytes > rules.batch_size_bytes):
            yield self._cut()
        self._batch.add(parent(path), order, size_bytes)

    def _record_folders(self, path: bytes) -> Iterator[Work]:
        """Record the folders above `path` that were kept so far: in their order, before what is new in
        them."""
        if not self._kept:
            return
        self._drop_kept(path)
        kept, self._kept = self._kept, []
        for folder in kept:
            if folder.is_passed:
                self._links.touch(folder.path)
                continue
            yield from self._put(folder.path, PutDirectory(name_of(folder.path), folder.status), 0)

    def _drop_kept(self, path: bytes) -> None:
        """Forget the kept folders that `path` is not in: the walk is behind them."""
        while self._kept and not path.startswith(self._kept[-1].path):
            self._kept.pop()

    def _cut(self) -> Batch:
        batch, self._batch = self._batch, Batch()
        return batch

    def _is_replaced(self, path: bytes) -> bool:
        """Whether the source has something else at `path`, or a non-folder above it."""
        try:
            status = self._stat(parent(path), name_of(path).rstrip(b"/"))
        except NotADirectoryError:
            return True
        except OSError:
            return False
        return path.endswith(b"/") != stat.S_ISDIR(status.st_mode)

    def _stat(self, folder: bytes, name: bytes) -> os.stat_result:
        here = self._folders.folder(folder)
        if self._rules.follow_links:
            with contextlib.suppress(OSError):
                return os.stat(name, dir_fd=here)
        return os.stat(name, dir_fd=here, follow_symlinks=False)
