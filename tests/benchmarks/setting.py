"""What every work is given: how often, how much, and where."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.datasets import FILES_A_FOLDER, LARGE_FILE_BYTES, LARGE_FILES, SMALL_FILES

_GIB = 1 << 30
# A file of SMALL, rounded up to pages, with its share of folders; and a bit more.
_SMALL_FILE_BYTES = 9 << 10
# A device needs room for one pack of its profile and its reserve, however little it gets.
_LEAST_DEVICE_BYTES = 3 * _GIB // 2


@dataclass(frozen=True)
class Setting:
    """Options of the harness.

    Attributes:
        rounds: how many are timed.
        scale: of the datasets; 1 for the real ones.
        disk: a folder on the disk for the works that are done there.
        mixed: the real tree that is copied for MIXED.
    """

    rounds: int
    scale: float
    disk: Path
    mixed: Path

    def small_files(self, times: float = 1) -> int:
        """How many files SMALL has; `times` for a multiple of it."""
        return max(FILES_A_FOLDER, round(SMALL_FILES * self.scale * times))

    @property
    def large_file_bytes(self) -> int:
        """The size of each file of LARGE, whole MiB."""
        return max(1, round(LARGE_FILE_BYTES * self.scale) >> 20) << 20

    def say(self, what: str) -> None:
        """Tell on stderr what is being done."""
        print(what, file=sys.stderr, flush=True)


def room_for_small(files: int, copies: float) -> int:
    """Bytes of a file system for a SMALL of so many files and `copies` copies of it."""
    return round(files * _SMALL_FILE_BYTES * (1 + copies)) + _LEAST_DEVICE_BYTES


def room_for_large(file_bytes: int, copies: float) -> int:
    """The same for LARGE."""
    return round(LARGE_FILES * file_bytes * (1 + copies)) + _LEAST_DEVICE_BYTES
