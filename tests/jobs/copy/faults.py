"""A disk that fails in this process at the n-th call, and what a loss of power would leave of it.

All calls that write, sync, name or delete pass through here, as the device's code makes them: by `os`. Reads
of the source do not count.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CALLS = ("pwrite", "fsync", "rename", "ftruncate", "unlink", "open", "posix_fallocate")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass
class FailingDisk:
    """Counts calls; the `at`-th fails with `error`, or (with `for_good`) all from there on.

    Attributes:
        calls: name of every call so far.
        synced: content of each file, by inode, when it was last synced.
        names: inode by name of each folder, when it was last synced.
    """

    at: int = 0
    error: int = 0
    for_good: bool = False
    calls: list[str] = field(default_factory=list)
    synced: dict[int, bytes] = field(default_factory=dict)
    names: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def fired(self) -> bool:
        """Whether the planned fault came."""
        return 0 < self.at <= len(self.calls)

    def _check(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "open" and not arguments[1] & _WRITING:
            return
        self.calls.append(name)
        number = len(self.calls)
        if number == self.at or (self.for_good and self.fired):
            raise OSError(self.error, os.strerror(self.error))

    def _note_sync(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            self.synced[status.st_ino] = os.pread(descriptor, status.st_size, 0)
        else:
            folder = os.readlink(f"/proc/self/fd/{descriptor}")
            self.names[folder] = {entry.name: entry.inode() for entry in os.scandir(folder)}

    def wrap(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call with the fault in front of it."""

        def wrapped(*arguments: Any, **options: Any) -> Any:
            self._check(name, arguments)
            result = call(*arguments, **options)
            if name == "fsync":
                self._note_sync(arguments[0])
            return result

        return wrapped


@contextmanager
def failing_disk(at: int = 0, error: int = 0, *, for_good: bool = False) -> Iterator[FailingDisk]:
    """The n-th call fails while this lasts; 0: none does, all are counted."""
    disk = FailingDisk(at, error, for_good)
    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, disk.wrap(name, getattr(os, name)))
        yield disk


def lose_power(device: Path, disk: FailingDisk, to: Path, *, keep_names: set[str]) -> None:
    """What is left of a device when the power fails now.

    Content that was not synced is gone. Of folders in `keep_names` the names are those that programs saw
    last, of the others those of the last sync: after a loss of power either may be found.
    """
    shutil.copytree(device, to)
    for folder in ("packs", "segments"):
        now = {entry.name: entry.inode() for entry in os.scandir(device / folder)}
        durable = disk.names.get(os.fspath(device / folder), {})
        shutil.rmtree(to / folder)
        (to / folder).mkdir()
        for name, inode in (now if folder in keep_names else durable).items():
            (to / folder / name).write_bytes(disk.synced.get(inode, b""))
