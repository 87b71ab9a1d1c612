"""Real file systems of a chosen size, that can turn read-only, lose power, and be plugged in again.

    with ext4_image(64 << 20) as disk:
        copy_to(disk.path)
        disk.cut_power()       # every later access fails with EIO; what was not synced is gone
        disk.plug_in()         # the journal is replayed, as after a real loss of power

All take root. Whatever happens inside the block, at its end the file system is unmounted, its image deleted.
FAT and exFAT are the kernel's where it has them and FUSE's elsewhere, which reports a full FAT disk as EPERM.
A power cut is ext4's alone.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.tools import require_tool

# EXT4_IOC_SHUTDOWN = _IOR('X', 125, __u32), with "do not write the log" (flag 2): all access ends at once,
# and nothing more reaches the image, as when the cable is pulled.
_IOC_SHUTDOWN = 0x8004587D
_SHUTDOWN_WITHOUT_LOG = 2


@dataclass
class Disk:
    """A mounted file system; `path` is where it stands."""

    path: str
    kind: str
    _mount: Callable[[], object] = field(repr=False)

    @property
    def is_mounted(self) -> bool:
        """Whether a file system is mounted at the path."""
        return bool(_source_of(self.path))

    def make_read_only(self) -> None:
        """From now on every write fails with EROFS, in files that are open as well.

        On ext4 it happens as in life: an error of the disk, whereupon the kernel remounts read-only. Other
        kinds refuse (CalledProcessError) while a file is open for writing.
        """
        source = os.path.basename(_source_of(self.path))
        if self.kind == "ext4":
            with open(f"/sys/fs/ext4/{source}/trigger_fs_error", "w", encoding="ascii") as trigger:
                trigger.write("test\n")
        else:
            _run("mount", "-o", "remount,ro", self.path)

    def make_writable(self) -> None:
        """Undo `make_read_only` of kinds other than ext4, where only `pull` and `plug_in` bring it back."""
        _run("mount", "-o", "remount,rw", self.path)

    def pull(self) -> None:
        """Take the file system away from under its path; programs with open files keep those."""
        _run("umount", "--lazy", self.path)

    def cut_power(self) -> None:
        """Ext4 only: every access from now on fails with EIO; what was not synced is lost. Then `pull`."""
        if self.kind != "ext4":
            raise ValueError(f"power can be cut of ext4 only, not of {self.kind}")
        here = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(here, _IOC_SHUTDOWN, struct.pack("I", _SHUTDOWN_WITHOUT_LOG))
        finally:
            os.close(here)
        self.pull()

    def plug_in(self) -> None:
        """Mount the image again after `pull`; no program may hold a file of it open any more."""
        if self.is_mounted:
            raise ValueError(f"{self.path} is mounted still")
        self._mount()


@contextmanager
def tmpfs(size_bytes: int) -> Iterator[Disk]:
    """Memory; quick, knows every POSIX thing, forgets all when pulled."""
    _require_root()
    with _mount_point() as (path, _image):
        yield from _mounted(
            Disk(
                path, "tmpfs", lambda: _run("mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", path)
            )
        )


@contextmanager
def ext4_image(size_bytes: int) -> Iterator[Disk]:
    """Ext4 with a journal, in an image of `size_bytes`; all of it for the user, nothing reserved for root."""
    with _image_of(size_bytes, "mkfs.ext4", "-q", "-F", "-m", "0") as (path, image):
        options = "loop,errors=remount-ro"
        yield from _mounted(
            Disk(path, "ext4", lambda: _run("mount", "-t", "ext4", "-o", options, image, path)),
        )


@contextmanager
def vfat_image(size_bytes: int) -> Iterator[Disk]:
    """FAT: no owners, modes, links or names other than UTF-8; files up to 4 GiB; times of 2 s."""
    with _image_of(size_bytes, "mkfs.vfat") as (path, image):

        def mount() -> None:
            if _kernel_mount("vfat", "loop,utf8=1", image, path) != 0:
                _run("fusefat", "-o", "rw+,nonempty", image, path)

        yield from _mounted(Disk(path, "vfat", mount))


@contextmanager
def exfat_image(size_bytes: int) -> Iterator[Disk]:
    """exFAT: as FAT, but with large files; what disks come formatted with."""
    with _image_of(size_bytes, "mkfs.exfat") as (path, image):

        def mount() -> None:
            if _kernel_mount("exfat", "loop", image, path) != 0:
                # The FUSE driver takes nothing but a block device; `_mount_point` detaches it.
                loop = _run("losetup", "--find", "--show", image).strip()
                _run("mount.exfat-fuse", loop, path)

        yield from _mounted(Disk(path, "exfat", mount))


@contextmanager
def _image_of(size_bytes: int, *mkfs: str) -> Iterator[tuple[str, str]]:
    _require_root()
    with _mount_point() as (path, image):
        with open(image, "wb") as file:
            file.truncate(size_bytes)
        _run(*mkfs, image)
        yield path, image


@contextmanager
def _mount_point() -> Iterator[tuple[str, str]]:
    """A directory to mount on, and the name of an image beside it; unmounted and deleted at the end."""
    place = tempfile.mkdtemp(prefix="disk-")
    path, image = os.path.join(place, "mnt"), os.path.join(place, "image")
    os.mkdir(path)
    try:
        yield path, image
    finally:
        while _source_of(path):
            _run("umount", "--lazy", path)
        for loop in _loops_of(image):
            with suppress(subprocess.CalledProcessError):  # the lazy unmount may let go of it first
                _run("losetup", "--detach", loop)
        shutil.rmtree(place)


def _mounted(disk: Disk) -> Iterator[Disk]:
    disk.plug_in()
    yield disk


def _loops_of(image: str) -> list[str]:
    if not os.path.exists(image):
        return []
    return _run("losetup", "--noheadings", "--output", "NAME", "--associated", image).split()


def _source_of(path: str) -> str:
    """The device mounted last at a path; empty where none is."""
    source = ""
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
        for line in mounts:
            device, target, *_ = line.split(" ")
            if target == path:
                source = device
    return source


def _kernel_mount(kind: str, options: str, image: str, path: str) -> int:
    command = [require_tool("mount"), "-t", kind, "-o", options, image, path]
    return subprocess.run(command, capture_output=True, check=False).returncode


def _require_root() -> None:
    if os.geteuid() != 0:
        raise PermissionError("mounting a test disk takes root; run these tests as root, or leave them out")


def _run(program: str, *arguments: str) -> str:
    command = [require_tool(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
