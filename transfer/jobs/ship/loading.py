"""Brings the files of a device into the dock, under a hidden name.

- A file gets its name only when its bytes are durable. So what has its name and size was brought by an
  earlier try, and is not brought again.
- Two threads: while one waits for the disk to take a file, the other copies the next. Memory does not grow.
- However it ends, no thread is left at work.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from transfer.core.progress import Progress
from transfer.core.sizes import format_size
from transfer.device.disk import FULL_ERRNOS, create_new, device_errors, sync_directory
from transfer.device.layout import PARTIAL_SUFFIX
from transfer.device.manifest import open_regular
from transfer.errors import DeviceError, DeviceFullError
from transfer.jobs.ship.cargo import FOLDERS, CargoFile
from transfer.jobs.ship.dock import Dock, dock_error, dock_errors, is_folder
from transfer.jobs.ship.streams import copy_bytes

_THREADS = 2
_LOOK_INTERVAL_S = 0.2
_BLOCK_BYTES = 4096
# For names, records and what the file system keeps to itself.
_MARGIN_BYTES = 1 << 20


class _StoppedError(Exception):
    """The command ends; the thread has nothing to do any more."""


def refuse_without_room(dock: Dock, files: list[CargoFile]) -> None:
    """Raise DeviceFullError when the dock cannot hold so much more."""
    if not files:
        return
    needed = sum(-(-file.size_bytes // _BLOCK_BYTES) * _BLOCK_BYTES for file in files) + _MARGIN_BYTES
    free = dock.free_bytes()
    if free < needed:
        raise DeviceFullError(
            f"dock {dock.root} has {format_size(free)} free, the device needs {format_size(needed)}",
            remedy="free some room there and give the same command again",
        )


def can_rename(source: str, dock: Dock) -> bool:
    """Whether files may get into the dock by a change of name; `Loading.rename` finds it out."""
    with device_errors(source):
        here = os.stat(source).st_dev
    with dock_errors(dock.root):
        return here == os.stat(dock.root).st_dev


class Loading:
    """Brings files from `source` to `target`, which is in the dock.

    Attributes:
        files_done, bytes_done: what was brought by this command.
    """

    def __init__(self, source: str, target: str, dock: Dock, observe: Callable[[Progress], None]) -> None:
        self._source = source
        self._target = target
        self._dock = dock
        self._observe = observe
        self._stop = threading.Event()
        self._count = threading.Lock()
        self.files_done = 0
        self.bytes_done = 0

    def make_folders(self, files: list[CargoFile]) -> None:
        """Make the folder of the device, and those of the device's folders that have a file."""
        used = {file.name.partition("/")[0] for file in files if "/" in file.name}
        with dock_errors(self._dock.root):
            for path in (
                self._target,
                *(os.path.join(self._target, name) for name in FOLDERS if name in used),
            ):
                if not is_folder(path):
                    os.mkdir(path)

    def missing(self, files: list[CargoFile]) -> list[CargoFile]:
        """Those that are not there under their names."""
        with dock_errors(self._dock.root):
            return [file for file in files if not self._is_there(file)]

    def copy(self, files: list[CargoFile]) -> None:
        """Copy files, each durable with its name in the end.

        Raises:
            DeviceError: one of the disks failed, or a file changed its size meanwhile.
            DeviceFullError: the dock's disk is full.
        """
        totals = len(files), sum(file.size_bytes for file in files)
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="ship") as threads:
            try:
                pending: set[Future[None]] = set()
                for file in files:
                    pending.add(threads.submit(self._copy, file))
                    pending = self._settle(pending, _THREADS - 1, totals)
                self._settle(pending, 0, totals)
            except BaseException:
                self._stop.set()
                raise
        self.sync()

    def rename(self, files: list[CargoFile]) -> bool:
        """Give files their new place, in the order of the cargo.

        Returns:
            Whether that is possible: one file system that is mounted twice is as good as two.
        """
        for file in files:
            with dock_errors(self._dock.root):
                try:
                    os.rename(os.path.join(self._source, file.name), os.path.join(self._target, file.name))
                except OSError as error:
                    if error.errno == errno.EXDEV and file is files[0]:
                        return False
                    raise
            self.files_done, self.bytes_done = self.files_done + 1, self.bytes_done + file.size_bytes
        with device_errors(self._source):
            for path in (self._source, *(os.path.join(self._source, folder) for folder in FOLDERS)):
                if is_folder(path):
                    sync_directory(path)
        self.sync()
        return True

    def sync(self) -> None:
        """Make all names durable."""
        with dock_errors(self._dock.root):
            for folder in FOLDERS:
                path = os.path.join(self._target, folder)
                if is_folder(path):
                    sync_directory(path)
            sync_directory(self._target)
            sync_directory(self._dock.root)

    def _is_there(self, file: CargoFile) -> bool:
        path = os.path.join(self._target, file.name)
        return os.path.lexists(path) and os.lstat(path).st_size == file.size_bytes

    def _settle(self, pending: set[Future[None]], limit: int, totals: tuple[int, int]) -> set[Future[None]]:
        """Wait until no more than `limit` are pending, and tell how far it is meanwhile."""
        while len(pending) > limit:
            done, pending = wait(pending, _LOOK_INTERVAL_S, FIRST_COMPLETED)
            for future in done:
                future.result()
            self._observe(
                Progress(
                    "ship",
                    files_done=self.files_done,
                    files_total=totals[0],
                    bytes_done=self.bytes_done,
                    bytes_total=totals[1],
                )
            )
        return pending

    def _copy(self, file: CargoFile) -> None:
        path = os.path.join(self._target, file.name)
        with device_errors(self._source):
            source = open_regular(os.path.join(self._source, file.name))
        with source:
            status = os.fstat(source.fileno())
            with dock_errors(self._dock.root):
                target = create_new(path + PARTIAL_SUFFIX)
            try:
                self._fill(source.fileno(), target, file)
                with dock_errors(self._dock.root):
                    _keep_attributes(target, status)
                    os.fsync(target)
                    os.rename(path + PARTIAL_SUFFIX, path)
            finally:
                os.close(target)
        with self._count:
            self.files_done += 1

    def _fill(self, source: int, target: int, file: CargoFile) -> None:
        try:
            # One byte more than there should be tells a file that grew.
            copied = copy_bytes(source, target, file.size_bytes + 1, self._on_bytes)
        except OSError as error:
            if error.errno in FULL_ERRNOS | {errno.EROFS, errno.EFBIG}:
                raise dock_error(error, self._dock.root) from error
            raise DeviceError(
                f"cannot copy {file.name} from {self._source} to {self._dock.root}: {error.strerror}",
                remedy="check both disks, then give the same command again: it goes on where it stopped",
            ) from error
        if copied != file.size_bytes:
            what = f"{file.name} on device {self._source} changed its size while it was copied"
            raise DeviceError(
                what, remedy="see what changes a sealed device, then give the same command again"
            )

    def _on_bytes(self, count: int) -> None:
        if self._stop.is_set():
            raise _StoppedError
        with self._count:
            self.bytes_done += count


def _keep_attributes(descriptor: int, status: os.stat_result) -> None:
    """Mode and time of the original, where the file system has such things; the owner may always write."""
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, status.st_mode & 0o777 | 0o600)
    with contextlib.suppress(OSError):
        os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))
