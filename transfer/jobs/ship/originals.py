"""What a move does to the original: it is compared with the copy, and removed when the copy is docked.

- Nothing is removed of which the docked device has no file of the same name and size.
- DEVICE.json goes last: until then the same command finds out what it was doing.
- What the format does not know stays where it is, and with it its folder.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from transfer.core.progress import Progress
from transfer.device.disk import device_errors, sync_directory
from transfer.device.layout import LOCK_NAME, RESERVE_NAME
from transfer.device.raw_read import DigestReader
from transfer.errors import IntegrityError
from transfer.jobs.ship.cargo import FOLDERS, CargoFile, list_cargo
from transfer.jobs.ship.dock import Dock, dock_errors, is_folder


def compare(
    source: str, target: str, files: list[CargoFile], dock: Dock, observe: Callable[[Progress], None]
) -> None:
    """Read original and copy, past the page cache, and compare them.

    Raises:
        IntegrityError: one differs; its copy was deleted, so that the next try brings it again.
        DeviceError: one of the disks failed.
    """
    done, total = 0, sum(file.size_bytes for file in files)

    def count(size: int) -> None:
        nonlocal done
        done += size
        observe(Progress("compare", bytes_done=done, bytes_total=total))

    original, copy = DigestReader(), DigestReader()
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="compare") as thread, dock_errors(dock.root):
            for file in files:
                path = os.path.join(target, file.name)
                ours = thread.submit(copy.digest, path, lambda size: None)
                with device_errors(source):
                    theirs = original.digest(os.path.join(source, file.name), count)
                if ours.result() != theirs:
                    os.unlink(path)
                    raise IntegrityError(
                        f"the copy of {file.name} in {dock.root} differs from the original, and was deleted",
                        remedy="check both disks, then give the same command again: it brings this file anew",
                    )
    finally:
        original.close()
        copy.close()


def remove_original(source: str, docked: str, dock: Dock) -> None:
    """Remove what of the original the docked device has as well, then its folders if they are empty.

    Raises:
        DeviceError: one of the disks failed.
    """
    if not os.path.isdir(source):
        return
    with dock_errors(dock.root):
        there = set(list_cargo(docked).files)
    with device_errors(source):
        for file in list_cargo(source).files:
            if file in there:
                os.unlink(os.path.join(source, file.name))
        for name in (LOCK_NAME, RESERVE_NAME):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(source, name))
        for folder in FOLDERS:
            if is_folder(path := os.path.join(source, folder)):
                _remove_if_empty(path)
        sync_directory(source)
    _remove_if_empty(source)


def _remove_if_empty(folder: str) -> None:
    # Something else may be in it, and the root of a disk cannot go: both are as they should be.
    with contextlib.suppress(OSError):
        os.rmdir(folder)
