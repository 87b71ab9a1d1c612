"""The files that restore writes beside what it restores: which object each file was, and which entries have
other names than they had.

Lines wait on temporary disk until all files are there. A list that an earlier restore left is merged with the
new one, the new lines winning; one that is no list is left, and that is told.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import stat
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO

import msgspec

from transfer.core.paths import display, to_text
from transfer.core.records import File
from transfer.device.disk import write_at
from transfer.device.path_table import PathTable
from transfer.errors import FormatError
from transfer.formats.object_lines import (
    HEAD_LINE,
    OBJECTS_NAME,
    ObjectLine,
    decode_object_lines,
    encode_object_line,
)
from transfer.jobs.restore.outcome import Outcome
from transfer.jobs.restore.partial import FILE_FLAGS
from transfer.jobs.restore.places import NAMES_NAME
from transfer.jobs.restore.small import drop
from transfer.jobs.restore.tree import PartialNames

_NAMES_HEAD = b'{"format":"transfer-names","format_version":1}\n'
_BLOCK_BYTES = 1 << 20
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class ObjectList:
    """The objects of one restore.

    Args:
        table: on temporary disk, of its own.
    """

    def __init__(self, table: PathTable) -> None:
        self._table = table

    def put(self, place: bytes, key: bytes, record: File) -> None:
        """An object is, or will be, at `place`."""
        if record.object is None:
            return
        line = ObjectLine(
            path=place.decode(),
            key=key.decode(),
            size_bytes=record.size_bytes,
            blake3=record.blake3,
            object=record.object,
        )
        self._table.put(place, encode_object_line(line).decode())

    def forget(self, place: bytes) -> None:
        """It could not be written after all."""
        self._table.put(place, "")

    def write(self, directory: int, names: PartialNames, outcome: Outcome) -> None:
        """Put the list in its place.

        Raises:
            OSError: the disk refused.
        """
        name = OBJECTS_NAME.encode()
        try:
            lines = heapq.merge(self._earlier(directory, name), self._lines())
            _write(directory, name, names.new(), HEAD_LINE, (line for _, line in lines))
        except FormatError as error:
            outcome.fail(name, f"a file has its name that is no list of objects: {error.what}")

    def _lines(self) -> Iterator[tuple[bytes, bytes]]:
        return ((place, line.encode()) for place, line in self._table.items() if line)

    def _earlier(self, directory: int, name: bytes) -> Iterator[tuple[bytes, bytes]]:
        """What an earlier list says of files that are none of ours."""
        file = _opened(directory, name)
        if file is None:
            return
        with file:
            for line in decode_object_lines(file):
                place = line.path.encode()
                if self._table.get(place) is None:
                    yield place, encode_object_line(line)


def write_names(
    renamed: Iterator[tuple[bytes, bytes]], directory: int, names: PartialNames, outcome: Outcome
) -> None:
    """List the entries that have other names than they had, where there are any.

    Raises:
        OSError: the disk refused.
    """
    first = next(renamed, None)
    if first is None:
        return
    name = NAMES_NAME.encode()
    there = _opened(directory, name)
    if there is not None:
        with there:
            if there.read(len(_NAMES_HEAD)) != _NAMES_HEAD:
                outcome.fail(name, "a file has its name that is no list of names")
                return
    lines = (_name_line(path, place) for path, place in chain([first], renamed))
    _write(directory, name, names.new(), _NAMES_HEAD, lines)


def _name_line(path: bytes, place: bytes) -> bytes:
    return msgspec.json.encode(_spelled("path", place) | _spelled("name", path)) + b"\n"


def _spelled(field: str, path: bytes) -> dict[str, str]:
    """A path under a name that says whether it is text; some targets fold case and take any bytes."""
    text, encoded = to_text(path)
    return {field: text} if text else {f"{field}_base64": encoded}


def _opened(directory: int, name: bytes) -> BinaryIO | None:
    """A regular file for reading; None where nothing has the name.

    Raises:
        FormatError: something else has it.
    """
    try:
        descriptor = os.open(name, _READ_FLAGS, dir_fd=directory)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FormatError(f"{display(name)} cannot be opened: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FormatError(f"{display(name)} is no regular file")
    return os.fdopen(descriptor, "rb")


def _write(directory: int, name: bytes, aside: bytes, head: bytes, lines: Iterable[bytes]) -> None:
    """A whole file, written aside and renamed."""
    descriptor = os.open(aside, FILE_FLAGS, 0o600, dir_fd=directory)
    try:
        try:
            offset, block = 0, bytearray(head)
            for line in lines:
                block += line
                if len(block) >= _BLOCK_BYTES:
                    offset, block = write_at(descriptor, block, offset), bytearray()
            write_at(descriptor, block, offset)
            with contextlib.suppress(OSError):  # a file system without modes
                os.fchmod(descriptor, 0o644)
        finally:
            os.close(descriptor)
        os.rename(aside, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        drop(aside, directory)
        raise
