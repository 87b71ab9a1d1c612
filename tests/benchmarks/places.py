"""Where sources and devices lie while they are measured: a tmpfs of bounded size, or a folder on the disk.

Each is made empty and is gone when its block is left, by an error or Ctrl-C too. A tmpfs of our own needs
root; everybody else gets a folder in /dev/shm. What does not fit into the free memory or disk is refused
before anything is written.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GIB = 1 << 30
# For the programs themselves; the kernel must not begin to reclaim while something is measured.
_LEFT_FREE_BYTES = 3 * GIB // 2
_SHARED_MEMORY = Path("/dev/shm")


class NoRoomError(Exception):
    """A work needs more memory or disk than there is; the message says how much."""


@contextmanager
def tmpfs(size_bytes: int) -> Iterator[Path]:
    """An empty folder in memory, for up to `size_bytes`.

    Raises:
        NoRoomError: that much memory is not free.
    """
    free = available_memory_bytes() - _LEFT_FREE_BYTES
    if os.geteuid() != 0:
        free = min(free, shutil.disk_usage(_SHARED_MEMORY).free)
    if free < size_bytes:
        raise NoRoomError(
            f"needs {size_bytes / GIB:.1f} GiB in memory, where {free / GIB:.1f} GiB may be used"
        )
    if os.geteuid() == 0:
        with _folder(None) as place, _mounted(place, size_bytes):
            yield place
    else:
        with _folder(_SHARED_MEMORY) as place:
            yield place


@contextmanager
def on_disk(parent: Path, size_bytes: int) -> Iterator[Path]:
    """An empty folder below `parent`, which is made.

    Raises:
        NoRoomError: that much is not free there.
    """
    parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(parent).free
    if free < size_bytes:
        raise NoRoomError(
            f"needs {size_bytes / GIB:.1f} GiB on the disk, where {free / GIB:.1f} GiB are free"
        )
    with _folder(parent) as place:
        yield place


def available_memory_bytes() -> int:
    """What the kernel says can be had without swapping."""
    match = re.search(r"^MemAvailable: +(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1]) << 10


def empty(folder: Path) -> None:
    """Make the folder anew, with nothing in it."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()


@contextmanager
def _folder(parent: Path | None) -> Iterator[Path]:
    """One with a name of its own, in the system's place for temporary files where no parent is given."""
    place = Path(tempfile.mkdtemp(prefix="transfer-bench-", dir=parent))
    try:
        yield place
    finally:
        shutil.rmtree(place)


@contextmanager
def _mounted(place: Path, size_bytes: int) -> Iterator[None]:
    options = f"size={size_bytes},nr_inodes=0,mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "transfer-bench", place], check=True)
    try:
        yield
    finally:
        # Lazily: what still has a file open there gets the memory freed when it ends.
        subprocess.run(["umount", "--lazy", place], check=True)
