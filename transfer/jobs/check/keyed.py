"""What lies in a folder under other names than on the device: names there lead back to keys and paths.

So do the files that were objects of a bucket, and whatever a restore brought to a file system that does not
take every name.

The rules of the folder's file system need not be known here: whatever they are, a name leads back to its key
by itself (docs/names.md), and the list of objects that a restore leaves in the folder says it of each. As
names and keys sort differently, the walk is laid down on temporary disk by key. Folders are no objects,
unless the device has one that is.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from transfer.core.filters import Filter
from transfer.core.names import unescape
from transfer.core.paths import display
from transfer.core.records import File
from transfer.device.path_table import PathTable
from transfer.errors import FormatError
from transfer.formats.object_lines import OBJECTS_NAME, decode_object_lines
from transfer.jobs.check.pairing import Held, Pair
from transfer.jobs.copy.walk import Found, Kind
from transfer.jobs.restore.places import NAMES_NAME

_NAMES_START = b'{"format":"transfer-names",'
_READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_CODING = "latin-1"  # any bytes as text, one character each
_DOUBLE = "another file there has a name of the same entry"
_SHUT = "a folder could not be looked into"


@dataclass
class KeyedFolder:
    """A folder, laid down by key.

    Args:
        rules: which entries are compared, by their keys.
        files, folders, doubles: tables of its own: key to path, and paths whose key another one has.
        names: path to key, as the list of objects has them.

    Attributes:
        shut: folders that could not be looked into: then nothing is missing for certain.
        lists: files of the folder that a restore wrote of it, which are no entries.
    """

    rules: Filter
    files: PathTable
    folders: PathTable
    doubles: PathTable
    names: PathTable
    shut: bool = field(default=False, init=False)
    lists: set[bytes] = field(default_factory=set, init=False)

    def learn(self, folder: bytes) -> list[str]:
        """Read what a restore may have written into the folder: the list of objects, and that of names.

        Args:
            folder: its path.

        Returns:
            what is wrong with them; empty where there are none, or all is well.
        """
        try:
            with _opened(folder, NAMES_NAME) as file:
                if file.read(len(_NAMES_START)) == _NAMES_START:
                    self.lists.add(NAMES_NAME.encode())
        except OSError:  # then it is a file as others are
            pass
        try:
            with _opened(folder, OBJECTS_NAME) as file:
                self.lists.add(OBJECTS_NAME.encode())
                for line in decode_object_lines(file):
                    self.names.put(line.path.encode(), line.key)
        except FileNotFoundError:
            return []
        except (OSError, FormatError) as error:
            place = display(os.path.join(folder, OBJECTS_NAME.encode()))
            return [f"{place} is of no use from there on: {error}"]
        return []

    def lay_down(self, found: Iterator[Found], is_over: Callable[[], bool]) -> None:
        """Take the walk in, until it is over."""
        for one in found:
            if is_over():
                return
            key = self._key(one.path)
            if one.kind is Kind.DIRECTORY:
                self.folders.put(key, one.path.decode(_CODING))
            elif one.path.endswith(b"/"):
                self.shut = True
            elif one.path not in self.lists and self.rules.accepts_file(key):
                table, row = (self.files, key) if self.files.get(key) is None else (self.doubles, one.path)
                table.put(row, _row(one))

    def pairs(self, held: Iterator[Held]) -> Iterator[Pair]:
        """Both sides of every key, in order; of paths that lead to one key all but the first come last."""
        theirs = ((key, _found(row)) for key, row in self.files.items())
        there = next(theirs, None)
        for one in held:
            while there is not None and there[0] < one.path:
                yield Pair(there[1].path, None, there[1])
                there = next(theirs, None)
            if there is not None and there[0] == one.path:
                yield Pair(there[1].path, one, there[1])
                there = next(theirs, None)
            else:
                yield self._without_file(one)
        while there is not None:
            yield Pair(there[1].path, None, there[1])
            there = next(theirs, None)
        for path, row in self.doubles.items():
            yield Pair(path, None, replace(_found(row), detail=_DOUBLE))

    def _without_file(self, held: Held) -> Pair:
        folder = self.folders.get(held.path) if _may_be_folder(held) else None
        if folder is not None:
            path = folder.encode(_CODING)
            return Pair(path, held, Found(path, Kind.DIRECTORY))
        if self.shut:
            return Pair(held.path, held, Found(held.path, Kind.FAILED, reason=_SHUT))
        return Pair(b"", held, None)

    def _key(self, path: bytes) -> bytes:
        known = self.names.get(path)
        return unescape(path) if known is None else known.encode()


def _opened(folder: bytes, name: str) -> BinaryIO:
    """A regular file of a folder; a pipe of its name would hold us up for ever.

    Raises:
        OSError: it cannot be opened, or is none.
    """
    descriptor = os.open(os.path.join(folder, name.encode()), _READ_FLAGS)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is no regular file")


def _may_be_folder(held: Held) -> bool:
    if not held.path.endswith(b"/"):
        return False
    return not (isinstance(held.record, File) and held.record.size_bytes)


def _row(found: Found) -> str:
    return f"{found.kind.value}\0{found.detail or found.reason}\0{found.path.decode(_CODING)}"


def _found(row: str) -> Found:
    kind, reason, path = row.split("\0", 2)
    return Found(path.encode(_CODING), Kind(kind), reason=reason)
