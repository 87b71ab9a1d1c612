"""The datasets of the benchmark, equal in every byte wherever they are made.

* SMALL: 100,000 files, sizes lognormal around 3 KiB, 570 MiB in all; every second file compresses.
* LARGE: 4 files of 512 MiB that do not compress.
* MIXED: a copy of a real tree of this machine; the same for all programs of one run, not between machines.

A SMALL of fewer files is the beginning of a larger one. The scale multiplies how many files SMALL has, how
large those of LARGE are, and how much of MIXED is taken.
"""

from __future__ import annotations

import math
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from tests.simulators.trees import BASE_MTIME_NS, large_file

MIB = 1 << 20
SMALL_FILES = 100_000
LARGE_FILES, LARGE_FILE_BYTES = 4, 512 * MIB
FILES_A_FOLDER = 200

_SEED = 4
_MEDIAN_BYTES = 3072
# Makes the mean 570 MiB / 100,000: median x exp(sigma^2 / 2), see any text on the lognormal distribution.
_SIGMA = 1.155
_LARGEST_BYTES = MIB
_TEXT_BYTES = 4 * MIB


@dataclass(frozen=True)
class Content:
    """What a tree holds: files and symbolic links together, and the bytes of the files."""

    files: int
    size_bytes: int

    def __str__(self) -> str:
        return f"{self.files:,} files, {self.size_bytes / MIB:,.0f} MiB"


def small_sizes(count: int) -> Iterator[int]:
    """The sizes of SMALL's first `count` files."""
    dice = random.Random(_SEED)
    for _ in range(count):
        yield min(int(dice.lognormvariate(math.log(_MEDIAN_BYTES), _SIGMA)), _LARGEST_BYTES)


def make_small(root: Path, count: int) -> Content:
    """SMALL's first `count` files, 200 to a folder, in a folder that this makes."""
    dice, noise, text = random.Random(_SEED + 1), blake3(b"small"), _text()
    root.mkdir()
    total = 0
    for number, size in enumerate(small_sizes(count)):
        if number % FILES_A_FOLDER == 0:
            folder = root / f"folder-{number // FILES_A_FOLDER:05d}"
            folder.mkdir()
        start = dice.randrange(_TEXT_BYTES - _LARGEST_BYTES)
        content = noise.digest(size, seek=total) if number % 2 else text[start : start + size]
        _write(f"{folder}/file-{number:07d}.dat", content)
        total += size
    for folder in (*root.iterdir(), root):
        os.utime(folder, ns=(BASE_MTIME_NS, BASE_MTIME_NS))
    return Content(count, total)


def make_tiny(root: Path, count: int) -> Content:
    """Files of a few bytes with names of 20 characters, in one folder that this makes, in no order."""
    root.mkdir()
    here = os.open(root, os.O_RDONLY)
    total = 0
    for number in range(count):
        file = os.open(
            b"file-%015d" % (number * 7919 % 1_000_003), os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=here
        )
        total += os.write(file, b"content of %d" % number)
        os.close(file)
    os.close(here)
    return Content(count, total)


def make_large(root: Path, file_bytes: int) -> Content:
    """LARGE, with files of this size, in a folder that this makes."""
    root.mkdir()
    for number in range(LARGE_FILES):
        large_file(os.fsencode(root / f"large-{number}.bin"), file_bytes, seed=number)
    return Content(LARGE_FILES, LARGE_FILES * file_bytes)


def make_mixed(root: Path, original: Path, scale: float) -> Content:
    """A copy of `original`, of its entries in order of name so many that they hold `scale` of its bytes."""
    whole, taken = contents(original).size_bytes * scale, 0
    root.mkdir()
    for entry in sorted(original.iterdir()):
        if scale < 1 and taken >= whole:
            break
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, root / entry.name, symlinks=True)
            taken += contents(root / entry.name).size_bytes
        else:
            shutil.copy2(entry, root / entry.name, follow_symlinks=False)
            taken += entry.lstat().st_size
    return contents(root)


def contents(root: Path) -> Content:
    """Counts a tree; symbolic links count as files of no bytes."""
    files = size = 0
    folders = [os.fspath(root)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                    continue
                files += 1
                if entry.is_file(follow_symlinks=False):
                    size += entry.stat(follow_symlinks=False).st_size
    return Content(files, size)


def _text() -> bytes:
    """Words over and over in chance order, which zstd brings to less than half."""
    dice = random.Random(_SEED + 2)
    words = [bytes(dice.choices(b"abcdefghijklmnopqrstuvwxyz", k=dice.randint(2, 9))) for _ in range(400)]
    return b" ".join(dice.choices(words, k=_TEXT_BYTES // 5))[:_TEXT_BYTES]


def _write(path: str, content: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.write(file, content)
    os.utime(file, ns=(BASE_MTIME_NS, BASE_MTIME_NS))
    os.close(file)
