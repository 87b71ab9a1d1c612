"""Sample datasets: the names, types and sizes that break copy programs, many small files, one large file.

All are deterministic: made twice, they are equal in every byte, mode and time (owners and umask are those of
the process). Names are bytes throughout. What a file system cannot hold raises its OSError, nothing is left
out in silence: choose with the arguments instead.
"""

from __future__ import annotations

import math
import os
import random
import socket
import stat
from collections.abc import Iterator

from blake3 import blake3

MIB = 1 << 20
# 2001-09-09T01:46:40.123456789Z: every file that has no time of its own counts on from here.
BASE_MTIME_NS = 1_000_000_000_123_456_789

NAMES = (
    b"latin-1 \xe4\xf6\xfc",
    b"\xff\xfe\x80 not UTF-8",
    b"overlong \xc0\xaf",
    b"surrogate \xed\xa0\x80",
    b"n" * 255,
    "ü".encode() * 127,
    b"new\nline",
    b"ends in new line\n",
    b"carriage\rreturn",
    b"tab\tbell\x07escape\x1b[31m\x7f",
    b"'single'",
    b'"double"',
    b"back\\slash",
    b"\\n",
    b"-rf",
    b"--help",
    b" leading space",
    b"trailing space ",
    b"trailing dot.",
    b" ",
    b".hidden",
    b"...",
    b"..two dots",
    b"~",
    b"#hash",
    b"*?[x]{y}",
    b"%2F",
    b"%00",
    b"plus+sign",
    b"a&b=c;d,e$f`g|h<i>j(k)!@^",
    b"CON",
    b"aux.txt",
    b"C:colon",
    b"Case",
    b"case",
    "caf\u00e9".encode(),
    "cafe\u0301".encode(),
    "\u65e5\u672c\u8a9e".encode(),
    "\U0001f680 emoji \U0001f469\u200d\U0001f52c".encode(),
    "\u202eright to left".encode(),
    "\ufeffbyte order mark".encode(),
    b"PaxHeader",
    b"0",
)

# `/` sorts after ` `, `!`, `-`, `.` and before `0`: a directory's place depends on its slash.
SORT_TRAPS = (
    b"a.txt",
    b"a-b",
    b"a b",
    b"a!",
    b"a0",
    b"aa",
    b"a/b",
    b"a/b.c",
    b"a.d/x",
    b"a-d/x",
    b"A/x",
    b"a0d/x",
)

MODES = (0o444, 0o600, 0o644, 0o755, 0o777, 0o200, 0o4755, 0o2755, 0o6711)

MTIMES_NS = {
    b"nanosecond": 1_234_567_890_000_000_001,
    b"tenth": 1_234_567_890_100_000_000,
    b"last nanosecond": 1_234_567_890_999_999_999,
    b"whole second": 1_234_567_890_000_000_000,
    b"epoch": 0,
    b"second before epoch": -1_000_000_000,
    b"nanosecond before epoch": -1,
    b"1969 with fraction": -1_500_000_000,
    b"year 1930": -1_262_304_000 * 10**9 + 5,
    b"after 2038": 2_147_483_648 * 10**9,
    b"year 2200": 7_258_118_400 * 10**9 + 987_654_321,
}


def nasty_tree(
    root: bytes,
    *,
    chunk_size_bytes: int = 8 * MIB,
    xattrs: bool = True,
    long_paths: bool = True,
    special_files: bool = False,
) -> None:
    """Fill an empty directory with what breaks copy programs; about 65 MiB with 8 MiB chunks.

    Args:
        root: the directory to fill.
        chunk_size_bytes: files are made on both sides of its boundaries.
        xattrs: also make extended attributes in the `user.` space.
        long_paths: also make a path of 4,000 bytes, which no absolute path can name.
        special_files: also make a FIFO, a socket and, as root, a device node. A copy reports these.
    """
    parts = [_names, _sort_traps, _links, _modes, _mtimes, _folders, _sparse]
    for part in parts + [_xattrs] * xattrs + [_special_files] * special_files:
        place = os.path.join(root, part.__name__.strip("_").encode())
        os.mkdir(place)
        part(place)
    if long_paths:
        make_long_path(root, 4000)
    make_sizes(os.path.join(root, b"sizes"), chunk_size_bytes)
    _settle(root)


def make_sizes(place: bytes, chunk_size_bytes: int) -> None:
    """Files named by their size, on both sides of each boundary of tar blocks, MiB and chunks."""
    os.mkdir(place)
    around = {size + by for size in (512, MIB, chunk_size_bytes) for by in (-1, 0, 1)}
    sizes = around | {0, 1, 2 * chunk_size_bytes, 5 * chunk_size_bytes // 2 + 3}
    for size in sorted(sizes):
        large_file(os.path.join(place, b"%d" % size), size, seed=size)


def make_long_path(root: bytes, length: int) -> bytes:
    """Make a file with a path of `length` bytes below `root`; step by step, as no call takes it whole."""
    folders, rest = divmod(length - 1, 201)
    path = (b"long-path." + b"d" * 190 + b"/") * folders + b"f" * (rest + 1)
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    *names, name = path.split(b"/")
    for folder in names:
        os.mkdir(folder, dir_fd=here)
        below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    _write(name, b"at the end of a long path", dir_fd=here)
    os.close(here)
    return path


def small_files(root: bytes, count: int, seed: int) -> int:
    """Make `count` files around 3 KiB (lognormal, up to 1 MiB), half of them compressible, 200 to a folder.

    Returns:
        The bytes of all files together.
    """
    dice = random.Random(seed)
    noise = blake3(b"noise %d" % seed)
    words = [bytes(dice.choices(b"abcdefghijklmnopqrstuvwxyz", k=dice.randint(2, 9))) for _ in range(400)]
    text = b" ".join(dice.choices(words, k=400_000))
    total = 0
    for number in range(count):
        if number % 200 == 0:
            folder = os.path.join(root, b"folder-%05d" % (number // 200))
            os.mkdir(folder)
        size = min(int(dice.lognormvariate(math.log(3072), 1.1)), MIB)
        start = dice.randrange(len(text) - MIB)
        content = noise.digest(size, seek=total) if number % 2 else text[start : start + size]
        _write(os.path.join(folder, b"file-%07d.dat" % number), content)
        total += size
    _settle(root)
    return total


def large_file(path: bytes, size: int, seed: int) -> None:
    """Make one file of bytes that look random, do not compress, and are the same for the same seed.

    A file is the beginning of every longer one with the same seed.
    """
    with open(path, "wb", buffering=0) as file:
        for block in _random_blocks(b"large %d" % seed, size):
            file.write(block)


def _random_blocks(key: bytes, size: int) -> Iterator[bytes]:
    source = blake3(key)
    for start in range(0, size, 4 * MIB):
        yield source.digest(min(4 * MIB, size - start), seek=start)


def _names(place: bytes) -> None:
    for name in NAMES:
        _write(os.path.join(place, name), b"file " + name)
    folders = os.path.join(place, b"folders")
    for name in NAMES:
        os.makedirs(os.path.join(folders, name))
        _write(os.path.join(folders, name, b"inside"), b"in " + name)


def _sort_traps(place: bytes) -> None:
    for path in SORT_TRAPS:
        os.makedirs(os.path.dirname(os.path.join(place, path)), exist_ok=True)
        _write(os.path.join(place, path), path)


def _links(place: bytes) -> None:
    def at(name: bytes) -> bytes:
        return os.path.join(place, name)

    for folder in (b"folder", b"other"):
        os.mkdir(at(folder))
    _write(at(b"folder/file"), b"target of links")
    targets = {
        b"relative": b"folder/file",
        b"upward": b"../links/folder/file",
        b"absolute": b"/etc/hostname",
        b"dangling": b"no/such/thing",
        b"to a directory": b"folder",
        b"to a directory/": b"folder/",
        b"loop": b"loop",
        b"loop of two a": b"loop of two b",
        b"loop of two b": b"loop of two a",
        b"to itself": b".",
        b"outside": b"../../../../../../etc/passwd",
        b"not UTF-8": b"\xff\xfe",
        b"new line": b"line\nbreak",
        b"spaces": b" ",
        b"100 bytes": b"l" * 100,
        b"101 bytes": b"l" * 101,
        b"non-ASCII": "zïel".encode(),
        b"long": b"long/" * 250,
    }
    for name, target in targets.items():
        os.symlink(target, at(name.replace(b"/", b" slash")))
    _write(at(b"hard 1"), b"one file, three names")
    os.link(at(b"hard 1"), at(b"hard 2"))
    os.link(at(b"hard 1"), at(b"other/hard 3"))
    _write(at(b"same folder 1"), b"")
    os.link(at(b"same folder 1"), at(b"same folder 2"))
    _write(at(b"zz first by time, last by name"), b"two names")
    os.link(at(b"zz first by time, last by name"), at(b"folder/second"))


def _modes(place: bytes) -> None:
    # Mode 0 can be read back by root alone; anyone else gets the least that can.
    for mode in {*MODES, 0} if os.geteuid() == 0 else {mode | 0o400 for mode in MODES}:
        path = os.path.join(place, b"%04o" % mode)
        _write(path, path[-4:])
        os.chmod(path, mode)
    for mode in (0o555, 0o700, 0o750, 0o1777, 0o2775):
        path = os.path.join(place, b"folder %04o" % mode)
        os.mkdir(path)
        _write(os.path.join(path, b"inside"), b"")
        os.chmod(path, mode)


def _mtimes(place: bytes) -> None:
    for name, mtime_ns in MTIMES_NS.items():
        path = os.path.join(place, name)
        _write(path, name, mtime_ns=mtime_ns)
        folder = os.path.join(place, b"folder " + name)
        os.mkdir(folder)
        _write(os.path.join(folder, b"inside"), b"")


def _folders(place: bytes) -> None:
    os.makedirs(os.path.join(place, b"empty"))
    os.makedirs(os.path.join(place, b"nested/empty/folders/down/to/here"))
    os.makedirs(os.path.join(place, b"deep", *([b"d"] * 60)))


def _sparse(place: bytes) -> None:
    path = os.path.join(place, b"hole of 64 MiB")
    with open(path, "wb", buffering=0) as file:
        os.pwrite(file.fileno(), b"in the middle", 32 * MIB + 1)
        os.pwrite(file.fileno(), b"at the end", 64 * MIB)
    path = os.path.join(place, b"only a hole")
    with open(path, "wb", buffering=0) as file:
        file.truncate(3 * MIB + 1)


def _xattrs(place: bytes) -> None:
    file, folder = os.path.join(place, b"file"), os.path.join(place, b"folder")
    _write(file, b"with attributes")
    os.mkdir(folder)
    for path in (file, folder):
        os.setxattr(path, b"user.text", "wört".encode())
        os.setxattr(path, b"user.binary", bytes(range(256)))
        os.setxattr(path, b"user.empty", b"")
        os.setxattr(path, "user.n\u00e4me with space".encode(), b"x")


def _special_files(place: bytes) -> None:
    os.mkfifo(os.path.join(place, b"fifo"))
    here = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{here}/socket")  # the name of a socket may have 107 bytes only
    os.close(here)
    if os.geteuid() == 0:
        os.mknod(os.path.join(place, b"device"), stat.S_IFCHR | 0o600, os.makedev(1, 3))


def _write(path: bytes, content: bytes, *, mtime_ns: int | None = None, dir_fd: int | None = None) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o640, dir_fd=dir_fd)
    try:
        os.write(file, content)
        if mtime_ns is not None:
            os.utime(file, ns=(mtime_ns, mtime_ns))
    finally:
        os.close(file)


def _settle(root: bytes) -> None:
    """Give every entry its time; in order, since of the names of one file the last one counts."""
    for folder, folders, files, here in os.fwalk(root):
        folders.sort()
        for name in sorted(files + folders):
            if folder.endswith(b"/mtimes"):
                mtime_ns = MTIMES_NS[name.removeprefix(b"folder ")]
            else:
                mtime_ns = BASE_MTIME_NS + len(name) * 1_000_000_007 + sum(name)
            os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=here, follow_symlinks=False)
