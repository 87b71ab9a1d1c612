"""`--bag`: what is restored becomes the payload of a bag.

Checksums are taken while files are written. What was there before, and further names of a file, are read once
more at the end: so the manifests tell of every file of the payload, and each as it is on the disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import date

from transfer.device.path_table import PathTable
from transfer.errors import UsageError
from transfer.formats import bagit
from transfer.jobs.restore.bag import BagFiles, PayloadFile
from transfer.jobs.restore.outcome import Outcome
from transfer.jobs.restore.tree import Tree, is_partial_name, look_at

_PAYLOAD = bagit.PAYLOAD_FOLDER.rstrip(b"/")
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK_BYTES = 1 << 20
_ALGORITHM = bagit.ALGORITHMS[0]


class Sums:
    """Checksums of files by path, from any thread.

    Args:
        table: on temporary disk, of its own.
    """

    def __init__(self, table: PathTable) -> None:
        self._table = table
        self._lock = threading.Lock()

    def put(self, path: bytes, digest: str) -> None:
        """A file was written."""
        with self._lock:
            self._table.put(path, digest)

    def get(self, path: bytes) -> str | None:
        """That of a file, where it was written by this job."""
        with self._lock:
            return self._table.get(path)


class Bagging:
    """One bag.

    Args:
        root: a descriptor of its top folder, which stays the caller's.
        directory: its name.
        stack: closes what is opened.

    Attributes:
        payload: a descriptor of the folder that is restored into.
        sums: of the files in it.

    Raises:
        UsageError: something is there that does not belong into a bag.
        OSError: the disk refused.
    """

    def __init__(self, root: int, directory: str, stack: ExitStack) -> None:
        self._files = BagFiles(root)
        self._refuse_strangers(root, directory)
        self._files.begin()
        with contextlib.suppress(FileExistsError):
            os.mkdir(_PAYLOAD, dir_fd=root)
        try:
            self.payload = os.open(_PAYLOAD, _FOLDER_FLAGS, dir_fd=root)
        except OSError as error:
            what = f"{directory}/{os.fsdecode(_PAYLOAD)} cannot be used: {error.strerror}"
            raise UsageError(what, remedy="name an empty directory") from None
        stack.callback(os.close, self.payload)
        self.sums = Sums(stack.enter_context(PathTable()))

    def finish(self, fields: Sequence[tuple[str, str]], outcome: Outcome) -> None:
        """Make a bag of it; the payload is on the disk.

        Raises:
            OSError: the disk refused.
        """
        today = date.today()  # noqa: DTZ011 - the day where the bag is made
        totals = self._files.finish(self._payload_files(outcome), fields, today)
        outcome.bagged_files, outcome.bagged_bytes = totals.files, totals.bytes
        outcome.bag_misread = totals.misread

    def _refuse_strangers(self, root: int, directory: str) -> None:
        own = {_PAYLOAD.decode(), *self._files.names}
        for name in os.listdir(root):
            if name not in own and not name.startswith(".transfer-"):
                what = f"{directory} holds {os.fsencode(name).decode(errors='replace')}, which is of no bag"
                raise UsageError(what, remedy="name an empty directory, or one with an unfinished bag")

    def _payload_files(self, outcome: Outcome) -> Iterator[PayloadFile]:
        tree = Tree(self.payload)
        with contextlib.closing(tree):
            folders = [b""]
            while folders:
                folder = folders.pop()
                with os.scandir(tree.folder(folder)) as entries:
                    names = [(os.fsencode(item.name), item.is_dir(follow_symlinks=False)) for item in entries]
                for name, is_folder in names:
                    if is_folder:
                        folders.append(folder + name + b"/")
                    elif not is_partial_name(name):
                        yield from self._one(tree, folder, name, outcome)

    def _one(self, tree: Tree, folder: bytes, name: bytes, outcome: Outcome) -> Iterator[PayloadFile]:
        path, where = folder + name, tree.folder(folder)
        there = look_at(name, where)
        if there is None or not stat.S_ISREG(there.st_mode):
            outcome.fail(path, "it is no file, and a bag holds nothing else")
        elif defect := bagit.payload_defect(path):
            outcome.fail(path, f"it is not in the bag: {defect}")
        else:
            digest = self.sums.get(path) or _read(name, where)
            yield PayloadFile(path, there.st_size, {_ALGORITHM: digest})


def _read(name: bytes, folder: int) -> str:
    with os.fdopen(os.open(name, _READ_FLAGS, dir_fd=folder), "rb", buffering=0) as file:
        digest = hashlib.new(_ALGORITHM)
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
        return digest.hexdigest()
