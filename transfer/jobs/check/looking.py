"""One entry of the devices held against what a folder has under its name. Threads share one of these.

Files are opened beneath the folder name by name, so that no symbolic link leads anywhere else; their content
is read through the page cache, as any program reads it. A file that is written to while it is read is read
again, and then told as that.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from typing import Any

from blake3 import blake3

from transfer.core.paths import display, path_defect
from transfer.core.records import Directory, Entry, File, Hardlink, Metadata, Symlink
from transfer.jobs.check.pairing import Held, Pair
from transfer.jobs.check.results import How, Seen, State
from transfer.jobs.comparing.originals import Content
from transfer.jobs.copy.beneath import Beneath
from transfer.jobs.copy.reading import ATTEMPTS, ChangedTypeError, mtime_of, open_file, same_content
from transfer.jobs.copy.walk import Found, Kind, failure_reason
from transfer.jobs.restore.places import NAMES_NAME

_BLOCK_BYTES = 1 << 20
_TELL_BYTES = 32 << 20
_REMEMBERED = 4096
_UNKNOWN = "it is not on the device"
_ESCAPED = f"{_UNKNOWN}; a restore lists in it what it gave other names: say --escaped-names"
_GONE = (FileNotFoundError, NotADirectoryError)
_KINDS = {stat.S_IFREG: "a file", stat.S_IFDIR: "a folder", stat.S_IFLNK: "a symbolic link"}


class OverError(Exception):
    """The check was called off."""


class FolderLook:
    """Looks at a folder.

    Args:
        folder: the folder.
        quick: size and time tell, no content is read.
        one_way: what the devices do not hold is of no interest.
        follow_links: a symbolic link in the folder stands for what it leads to.
        tell: told how many bytes more were read, from any thread.
    """

    def __init__(
        self,
        folder: bytes,
        *,
        quick: bool,
        one_way: bool,
        follow_links: bool,
        tell: Callable[[int], None] = lambda count: None,
    ) -> None:
        self.is_over = False
        self._folder = folder
        self._quick = quick
        self._one_way = one_way
        self._follow_links = follow_links
        self._tell = tell
        self._lock = threading.Lock()
        self._local = threading.local()
        self._open: list[Beneath] = []
        self._digests: dict[tuple[int, ...], str] = {}

    def look(self, pairs: list[Pair]) -> list[Seen]:
        """What there is to tell of some pairs.

        Raises:
            OverError: it was called off.
        """
        told = []
        for pair in pairs:
            if self.is_over:
                raise OverError
            seen = self._one(pair)
            if seen is not None:
                told.append(seen)
        return told

    def close(self) -> None:
        """Close all folders; nobody looks any more."""
        for beneath in self._open:
            beneath.close()

    def _one(self, pair: Pair) -> Seen | None:
        held, found = pair.held, pair.found
        if held is None:
            return None if found is None else self._extra(found)
        if held.record is None:
            return self._trouble(held, found)
        if found is not None and found.kind is Kind.FAILED:
            return _unproved(held, f"it cannot be looked at: {found.detail or found.reason}")
        return self._held(pair.place, held, held.record)

    def _held(self, place: bytes, held: Held, record: Entry) -> Seen:
        try:
            return self._compare(place, held, record)
        except _GONE:
            return _seen(held, "missing", reason="the folder has nothing of this name")
        except ChangedTypeError:
            return _unproved(held, "it becomes another type of thing while it is looked at")
        except OSError as error:
            return _unproved(held, f"it cannot be read: {failure_reason(error)}: {error.strerror}")

    def _extra(self, found: Found) -> Seen | None:
        if self._one_way:
            return None
        size = found.status.st_size if found.kind is Kind.FILE and found.status is not None else 0
        if found.kind is Kind.FAILED:
            reason = f"it cannot be looked at: {found.detail or found.reason}"
            return Seen(found.path, "unproved", reason=reason)
        reason = _ESCAPED if found.path == NAMES_NAME.encode() else _UNKNOWN
        return Seen(found.path, "extra", reason=found.detail or reason, size_bytes=size)

    def _trouble(self, held: Held, found: Found | None) -> Seen | None:
        """The devices know of it, and do not have it."""
        if self._one_way or found is None or found.kind in (Kind.SKIPPED, Kind.FAILED):
            return Seen(held.path, "not-on-device", reason=held.trouble)
        return Seen(held.path, "extra", reason=held.trouble)

    def _compare(self, place: bytes, held: Held, record: Entry) -> Seen:
        folder, name = self._locate(place)
        status = self._stat(folder, name)
        there = stat.S_IFMT(status.st_mode)
        if there != _type_of(held, place):
            kind = _KINDS.get(there, "neither file, folder nor symbolic link")
            # A folder has another path: what is there is told under that one.
            has_folder = stat.S_IFDIR in (there, _type_of(held, place))
            return Seen(held.path, "missing" if has_folder else "different", reason=f"it is {kind} there")
        match record:
            case Symlink():
                return _compare_targets(held.path, record.target_bytes, os.readlink(name, dir_fd=folder))
            case File() | Hardlink() if there == stat.S_IFREG:
                return self._compare_files(place, held, record, status)
            case _:
                return Seen(held.path, "same", "folder")

    def _compare_files(self, place: bytes, held: Held, record: Metadata, status: os.stat_result) -> Seen:
        content = held.content
        if content is None:
            return _unproved(held, "the device does not tell the content of this hard link")
        if status.st_size != content.size_bytes:
            return _seen(held, "different", reason=_sizes(status.st_size, content.size_bytes))
        is_timed = mtime_of(status) == record.mtime_ns
        if not content.size_bytes:
            return self._same(place, held, "empty", status)
        if not self._quick:
            return self._compare_content(place, held, content, is_timed)
        if is_timed:
            return self._same(place, held, "size-and-time", status)
        return _unproved(held, "the same size, another time; without --quick its content is compared")

    def _compare_content(self, place: bytes, held: Held, content: Content, is_timed: bool) -> Seen:
        folder, name = self._locate(place)
        descriptor, status = open_file(folder, name, follow_links=self._follow_links)
        try:
            digest, status = self._digest(descriptor, status)
        finally:
            os.close(descriptor)
        if digest is None:
            return _unproved(held, "it is written to while it is read")
        if digest == content.blake3:
            return self._same(place, held, "blake3", status)
        if status.st_size != content.size_bytes:
            return _seen(held, "different", reason=_sizes(status.st_size, content.size_bytes))
        what = "the same size and time, other content" if is_timed else "the same size, other content"
        return _seen(held, "different", reason=what)

    def _digest(self, descriptor: int, before: os.stat_result) -> tuple[str | None, os.stat_result]:
        """BLAKE3 of an open file, and its stat then; no digest where it does not hold still."""
        identity = (before.st_dev, before.st_ino, before.st_size, before.st_mtime_ns)
        if before.st_nlink > 1 and (known := self._digests.get(identity)) is not None:
            return known, before
        for _ in range(ATTEMPTS):
            digest, size = self._read(descriptor)
            after = os.fstat(descriptor)
            if size == after.st_size and same_content(before, after):
                if after.st_nlink > 1:
                    self._remember(identity, digest)
                return digest, after
            before = after
        return None, before

    def _read(self, descriptor: int) -> tuple[str, int]:
        buffer = self._buffer()
        hasher = blake3()
        size = untold = 0
        while count := os.preadv(descriptor, [buffer], size):
            if self.is_over:
                raise OverError
            hasher.update(buffer[:count])
            size += count
            untold += count
            if untold >= _TELL_BYTES:
                self._tell(untold)
                untold = 0
        self._tell(untold)
        return hasher.hexdigest(), size

    def _remember(self, identity: tuple[int, ...], digest: str) -> None:
        """So that the further names of a file are not read as often as there are."""
        with self._lock:
            if len(self._digests) >= _REMEMBERED:
                self._digests.pop(next(iter(self._digests)))
            self._digests[identity] = digest

    def _same(self, place: bytes, held: Held, how: How, status: os.stat_result) -> Seen:
        """The same; of a hard link also whether it is one here, where names are those of the device."""
        is_unlinked = False
        if isinstance(held.record, Hardlink) and place == held.path:
            is_unlinked = not self._is_linked(held.record.target_bytes, status)
        return Seen(held.path, "same", how, size_bytes=held.size_bytes or 0, is_unlinked=is_unlinked)

    def _is_linked(self, target: bytes, status: os.stat_result) -> bool:
        if path_defect(target):  # nobody has looked at it so far, and it may lead out of the folder
            return False
        try:
            other = self._stat(*self._locate(target))
        except OSError:
            return False
        return (other.st_dev, other.st_ino) == (status.st_dev, status.st_ino)

    def _locate(self, place: bytes) -> tuple[int, bytes]:
        """A descriptor of the folder that a path is in, good until the next call of this thread; the name."""
        bare = place.removesuffix(b"/")
        cut = bare.rfind(b"/") + 1
        try:
            return self._beneath().folder(bare[:cut]), bare[cut:]
        except OSError as error:
            if failure_reason(error) == "changed":  # a symbolic link, where the device has a folder
                raise FileNotFoundError(error.errno, error.strerror) from None
            raise

    def _stat(self, folder: int, name: bytes) -> os.stat_result:
        if self._follow_links:
            try:
                return os.stat(name, dir_fd=folder)
            except OSError:  # a link that leads nowhere stays a link
                pass
        return os.stat(name, dir_fd=folder, follow_symlinks=False)

    def _beneath(self) -> Beneath:
        mine: Any = getattr(self._local, "beneath", None)
        if mine is None:
            mine = self._local.beneath = Beneath(self._folder, follow_links=self._follow_links)
            with self._lock:
                self._open.append(mine)
        return mine  # type: ignore[no-any-return]

    def _buffer(self) -> memoryview:
        mine: Any = getattr(self._local, "buffer", None)
        if mine is None:
            mine = self._local.buffer = memoryview(bytearray(_BLOCK_BYTES))
        return mine  # type: ignore[no-any-return]


def _type_of(held: Held, place: bytes) -> int:
    if isinstance(held.record, Symlink):
        return stat.S_IFLNK
    return stat.S_IFDIR if isinstance(held.record, Directory) or place.endswith(b"/") else stat.S_IFREG


def _compare_targets(path: bytes, ours: bytes, theirs: bytes) -> Seen:
    if ours == theirs:
        return Seen(path, "same", "target")
    reason = f"it leads to {display(theirs[:200])}, on the device to {display(ours[:200])}"
    return Seen(path, "different", reason=reason)


def _sizes(theirs: int, ours: int) -> str:
    return f"{theirs:,} bytes; the device has {ours:,}"


def _seen(held: Held, state: State, *, reason: str) -> Seen:
    return Seen(held.path, state, reason=reason, size_bytes=held.size_bytes or 0)


def _unproved(held: Held, reason: str) -> Seen:
    return _seen(held, "unproved", reason=reason)
