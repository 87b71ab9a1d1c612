"""Small files of one frame: opened, held against their digests and written, in a worker process or right
here.

What is wrong with a frame costs the files that have content in it, and no others. An error after which
nothing more can be written ends the batch and is told apart. One thread at a time.
"""

from __future__ import annotations

import contextlib
import os
from hashlib import sha256

from blake3 import blake3
from msgspec import Struct, field

from transfer.errors import IntegrityError
from transfer.formats.frames import FrameReader
from transfer.jobs.restore.if_exists import IfExists
from transfer.jobs.restore.judging import Verdict, judge, refusal
from transfer.jobs.restore.metadata import set_metadata
from transfer.jobs.restore.partial import FILE_FLAGS, Partial, place
from transfer.jobs.restore.tree import ObstacleError, PartialNames, Tree, check_name, look_at
from transfer.jobs.restore.trouble import is_fatal, reason_of


class SmallFile(Struct, array_like=True):
    """What is to be known of a file to write it; `offset` is that of its content in the frame."""

    name: bytes
    offset: int
    size_bytes: int
    blake3: str
    mode: int
    mtime_ns: int
    uid: int
    gid: int
    sparse: bool = False
    xattrs: dict[str, str] = {}


class SmallBatch(Struct, array_like=True):
    """The wanted files of a frame of `frame_bytes`, in order, by the folders that they go to."""

    frame_bytes: int
    folders: list[tuple[bytes, list[SmallFile]]] = field(default_factory=list)


class Problem(Struct, array_like=True):
    """What is to be told of the file of this number in its batch."""

    number: int
    what: list[str]
    is_damage: bool = False


class Written(Struct, array_like=True):
    """What became of a batch.

    Attributes:
        files, bytes: that were written and named.
        failures: files that were not, and why.
        notes: files whose metadata could not all be set.
        sums: SHA-256 of files that were written, by number, where they are asked for.
        fatal: error number and text of the error that ended it; the files behind are not told of.
    """

    files: int = 0
    bytes: int = 0
    failures: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    sums: list[tuple[int, str]] = field(default_factory=list)
    fatal: tuple[int, str] | None = None


class SmallWriter:
    """Writes batches.

    Args:
        tree: of the directory, makes folders.
        names: of files that are not whole yet; nobody else's.
        if_exists: what becomes of names that are taken.
        sets_owner: set owner and group.
        sums: take the SHA-256 of each file.
    """

    def __init__(
        self, tree: Tree, names: PartialNames, if_exists: IfExists, *, sets_owner: bool, sums: bool
    ) -> None:
        self._tree = tree
        self._names = names
        self._if_exists = if_exists
        self._sets_owner = sets_owner
        self._sums = sums
        self._reader = FrameReader()

    def write(self, batch: SmallBatch, stored: bytes | memoryview) -> Written:
        """Write the files of a batch whose frame is stored like this."""
        written = Written()
        try:
            content = memoryview(self._reader.decompress(stored, batch.frame_bytes))
        except IntegrityError as error:
            count = sum(len(files) for _, files in batch.folders)
            written.failures = [Problem(number, [error.what], True) for number in range(count)]
            return written
        number = -1
        try:
            for folder, files in batch.folders:
                for file in files:
                    number += 1
                    self._try(written, number, folder, file, content)
        except OSError as error:
            written.fatal = (error.errno or 0, error.strerror or str(error))
        return written

    def _try(self, written: Written, number: int, folder: bytes, file: SmallFile, frame: memoryview) -> None:
        content = frame[file.offset : file.offset + file.size_bytes]
        if blake3(content).hexdigest() != file.blake3:
            written.failures.append(Problem(number, ["BLAKE3 differs"], True))
            return
        try:
            problems = self._one(folder, file, content)
        except ObstacleError as obstacle:
            written.failures.append(Problem(number, [str(obstacle)]))
        except OSError as error:
            if is_fatal(error):
                raise
            written.failures.append(Problem(number, [reason_of(error)]))
        else:
            written.files += 1
            written.bytes += file.size_bytes
            if problems:
                written.notes.append(Problem(number, problems))
            if self._sums:
                written.sums.append((number, sha256(content).hexdigest()))

    def _one(self, folder: bytes, file: SmallFile, content: memoryview) -> list[str]:
        check_name(file.name)
        where = self._tree.folder(folder)
        if file.sparse:
            return self._sparse(where, file, content)
        aside = self._names.new()
        descriptor = os.open(aside, FILE_FLAGS, 0o600, dir_fd=where)
        try:
            try:
                while content:
                    content = content[os.write(descriptor, content) :]
                problems = set_metadata(descriptor, file, sets_owner=self._sets_owner)
            finally:
                os.close(descriptor)
            self._look_once_more(where, file)
            place(aside, file.name, where)
        except BaseException:
            drop(aside, where)
            raise
        return problems

    def _sparse(self, where: int, file: SmallFile, content: memoryview) -> list[str]:
        partial = Partial(where, self._names.new())
        try:
            partial.write_around_holes(content, 0)
            self._look_once_more(where, file)
            return partial.finish(file.name, file, file.size_bytes, sparse=True, owner=self._sets_owner)
        except BaseException:
            partial.drop()
            raise

    def _look_once_more(self, where: int, file: SmallFile) -> None:
        """What came in the way since the batch was planned."""
        if os.access(file.name, os.F_OK, dir_fd=where, follow_symlinks=False):
            refuse_late(file.name, file.mtime_ns, file.size_bytes, where, self._if_exists)


def refuse_late(name: bytes, mtime_ns: int, size_bytes: int, folder: int, policy: IfExists) -> None:
    """Raise ObstacleError where something came in the way of a file while it was being written."""
    there = look_at(name, folder)
    if there is not None and judge(mtime_ns, size_bytes, there, policy) is not Verdict.WRITE:
        raise ObstacleError(f"while it was being written, {refusal(there)}")


def drop(aside: bytes, folder: int) -> None:
    """Remove what is not whole, if it is there."""
    with contextlib.suppress(OSError):
        os.unlink(aside, dir_fd=folder)
