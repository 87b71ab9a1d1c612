"""What is to be done: the walk of the source merged with what the device has, cut into batches and large files.

Both sides are sorted streams, so this needs no memory beyond the names of the folders on the way. An entry is the same when its size and mtime are those of the
newest record (a link: its target; a folder: its metadata); with `checksum` the content decides. Rules for hard links: a further name of an inode
becomes a link only when its first name was seen in this walk, or on the device, with the same size and mtime.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from transfer.core.merge import PathRecord
from transfer.core.paths import parent
from transfer.core.records import Directory, Entry, Failed, File, Hardlink, Skipped, Symlink
from transfer.jobs.copy.beneath import Beneath
from transfer.jobs.copy.links import FirstName, LinkTable
from transfer.jobs.copy.walk import Found, Kind
from transfer.jobs.copy.work import (
    Batch,
    LargeFile,
    Order,
    Problem,
    PutDirectory,
    PutHardlink,
    PutProblem,
    PutRemoved,
    ReadFile,
    ReadLink,
    Stat,
)

Work = Batch | LargeFile


@dataclass(frozen=True)
class PlanLimits:
    """How work is cut."""

    small_limit_bytes: int
    batch_size_bytes: int
    batch_entries: int
    checksum: bool = False


@dataclass
class PlanCounts:
    """What the plan has found so far; grows while the walk goes on."""

    entries: int = 0
    files: int = 0
    bytes: int = 0
    unchanged: int = 0
    is_complete: bool = False


class Known:
    """The merged view of a device beside a walk: both go forward only."""

    def __init__(self, records: Iterator[PathRecord]) -> None:
        self._records = records
        self._head = next(records, None)

    def before(self, path: bytes) -> Iterator[PathRecord]:
        """The records that sort before `path` and were not asked for."""
        while self._head is not None and self._head[0] < path:
            yield self._head
            self._head = next(self._records, None)

    def rest(self) -> Iterator[PathRecord]:
        """All that is left."""
        while self._head is not None:
            yield self._head
            self._head = next(self._records, None)

    def at(self, path: bytes) -> tuple[Entry | None, Entry | None]:
        """The entry of `path`, and its newer failed or skipped record."""
        entry: Entry | None = None
        trouble: Entry | None = None
        while self._head is not None and self._head[0] == path:
            if isinstance(self._head[1], Failed | Skipped):
                trouble = self._head[1]
            else:
                entry = self._head[1]
            self._head = next(self._records, None)
        return entry, trouble


class Plan:
    """Turns what the walk finds into work."""

    def __init__(self, source: bytes, limits: PlanLimits, known: Known, links: LinkTable, on_problem: Callable[[Problem], None]) -> None:
        self.counts = PlanCounts()
        self._on_problem = on_problem
        self._source = source
        self._limits = limits
        self._known = known
        self._links = links
        self._batch = Batch()

    def work(self, found: Iterator[Found]) -> Iterator[Work]:
        """All work, in path order."""
        with Beneath(self._source) as folders:
            for item in found:
                yield from self._replaced(self._known.before(item.path), folders)
                yield from self._take(item)
            yield from self._replaced(self._known.rest(), folders)
        if self._batch.orders:
            yield self._batch
        self.counts.is_complete = True

    def _replaced(self, gone: Iterator[PathRecord], folders: Beneath) -> Iterator[Work]:
        """Records that the walk did not meet: void when the source has another type of thing there by now, else kept."""
        for path, record in gone:
            if not isinstance(record, Failed | Skipped) and _is_replaced(path, folders):
                yield from self._add(path, PutRemoved(_name(path)), 0)

    def _take(self, item: Found) -> Iterator[Work]:
        entry, trouble = self._known.at(item.path)
        self.counts.entries += 1
        status = item.status
        match item.kind:
            case Kind.FAILED | Kind.SKIPPED:
                yield from self._problem(item, trouble)
            case _ if status is None:
                raise AssertionError("an entry without its stat")
            case Kind.FILE:
                yield from self._file(item.path, status, entry, _reason(trouble))
            case Kind.DIRECTORY:
                if not _same_directory(entry, status):
                    yield from self._add(item.path, PutDirectory(_name(item.path), stat_of(status)), 0)
            case Kind.SYMLINK:
                if not (isinstance(entry, Symlink) and entry.mtime_ns == status.st_mtime_ns):
                    yield from self._add(item.path, ReadLink(_name(item.path), stat_of(status)), 0)

    def _problem(self, item: Found, trouble: Entry | None) -> Iterator[Work]:
        """A problem that the device has on record already is not recorded again; it is reported all the same."""
        skipped = item.kind is Kind.SKIPPED
        if _reason(trouble) == item.reason:
            self._on_problem(Problem(item.path, "skipped" if skipped else "failed", item.reason, item.detail))
            return
        yield from self._add(item.path, PutProblem(_name(item.path), skipped, item.reason, item.detail), 0)

    def _file(self, path: bytes, status: os.stat_result, entry: Entry | None, known_reason: str) -> Iterator[Work]:
        self.counts.files += 1
        first = self._first_name(path, status)
        if first is not None:
            if not (isinstance(entry, Hardlink) and entry.target_bytes == first.path and _same_stat(entry, status)):
                yield from self._add(path, _hardlink(path, status, first), 0)
            else:
                self.counts.unchanged += 1
            return
        known_blake3 = ""
        if isinstance(entry, File):
            if self._limits.checksum:
                known_blake3 = entry.blake3 if entry.size_bytes == status.st_size else ""
            elif _same_stat(entry, status) and not entry.changed:
                self.counts.unchanged += 1
                return
        self.counts.bytes += status.st_size
        if status.st_size <= self._limits.small_limit_bytes:
            yield from self._add(path, ReadFile(_name(path), known_blake3, known_reason), status.st_size)
        else:
            if self._batch.orders:
                yield self._cut()
            yield LargeFile(path, known_blake3, known_reason)

    def _first_name(self, path: bytes, status: os.stat_result) -> FirstName | None:
        """The earlier path with this very content, for a file that has several names."""
        if status.st_nlink == 1:
            return None
        first = self._links.find(status.st_dev, status.st_ino)
        same = first is not None and (first.size_bytes, first.mtime_ns) == (status.st_size, status.st_mtime_ns)
        if first is not None and same and not self._links.is_unread(first.path):
            self._links.use(first)
            return first
        self._links.remember(status.st_dev, status.st_ino, FirstName(path, status.st_size, status.st_mtime_ns))
        return None

    def _add(self, path: bytes, order: Order, size_bytes: int) -> Iterator[Work]:
        limits, batch = self._limits, self._batch
        if batch.orders and (batch.orders >= limits.batch_entries or batch.content_bytes + size_bytes > limits.batch_size_bytes):
            yield self._cut()
        self._batch.add(parent(path), order, size_bytes)

    def _cut(self) -> Batch:
        batch, self._batch = self._batch, Batch()
        return batch


def stat_of(status: os.stat_result) -> Stat:
    """What the records keep of a stat."""
    return status.st_mode & 0o7777, status.st_mtime_ns, status.st_uid, status.st_gid


def _name(path: bytes) -> bytes:
    return path[len(parent(path)) :]


def _reason(trouble: Entry | None) -> str:
    return trouble.reason if isinstance(trouble, Failed | Skipped) else ""


def _hardlink(path: bytes, status: os.stat_result, first: FirstName) -> PutHardlink:
    return PutHardlink(_name(path), stat_of(status), status.st_size, first.path, status.st_ino, status.st_dev)


def _same_stat(entry: File | Hardlink, status: os.stat_result) -> bool:
    return (entry.size_bytes, entry.mtime_ns) == (status.st_size, status.st_mtime_ns)


def _same_directory(entry: Entry | None, status: os.stat_result) -> bool:
    return isinstance(entry, Directory) and (entry.mode, entry.mtime_ns, entry.uid, entry.gid) == stat_of(status)


def _is_replaced(path: bytes, folders: Beneath) -> bool:
    """Whether the source has something else at `path`, or a non-folder above it."""
    above = parent(path)
    try:
        status = os.stat(_name(path).rstrip(b"/"), dir_fd=folders.folder(above), follow_symlinks=False)
    except NotADirectoryError:
        return True
    except OSError:
        return False
    return path.endswith(b"/") != stat.S_ISDIR(status.st_mode)
