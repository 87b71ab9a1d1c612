"""`import --objects`: the list of objects that restore wrote into a folder, as a device brings it.

The list is read before anything is sent, checked as any content is, and kept on temporary disk. Each file
that it names becomes the object that it was: key, headers, metadata and tags; the list itself becomes none. A
file that it does not name goes as files do.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import aclosing
from typing import BinaryIO, cast

import msgspec
from blake3 import blake3

from transfer.core.records import Begin, Chunk, Entry, File, Header
from transfer.device.frame_stream import FrameGroup
from transfer.device.path_table import PathTable
from transfer.errors import IntegrityError, TransferError, UsageError
from transfer.formats.object_lines import OBJECTS_NAME, ObjectLine, decode_object_lines
from transfer.jobs.import_.arrival import Arrival, merged
from transfer.jobs.import_.budget import Budget
from transfer.jobs.import_.options import ImportOptions
from transfer.jobs.import_.packs import OpenedFrame, PackStream
from transfer.jobs.verify.findings import Finding

LIST_PATH = OBJECTS_NAME.encode()
_HELD_BYTES = 8 << 20  # of the list, before it goes to temporary disk

_decoder = msgspec.json.Decoder(ObjectLine)


class ListedObjects:
    """The objects of a list, by path.

    Args:
        table: keeps them.
    """

    def __init__(self, table: PathTable) -> None:
        self.count = 0
        self._table = table

    def take(self, stream: BinaryIO) -> None:
        """Read a whole list.

        Raises:
            FormatError: it is none.
        """
        for line in decode_object_lines(stream):
            self._table.put(line.path.encode(), msgspec.json.encode(line).decode())
            self.count += 1

    def find(self, path: bytes) -> ObjectLine | None:
        """What a file was."""
        text = self._table.get(path)
        return None if text is None else _decoder.decode(text)


async def load(arrival: Arrival, options: ImportOptions, table: PathTable) -> ListedObjects:
    """The list that a device has at its top.

    Args:
        arrival: the device.
        options: of the import.
        table: to keep it in; empty.

    Raises:
        UsageError: there is none, or the device holds objects, which need none.
        IntegrityError: it is damaged, or is no such list.
        TransferError: it cannot be read, or not be kept.
    """
    found = await asyncio.to_thread(_find, arrival)
    if any(header.keys for header in arrival.manifest.headers):
        what = f"device {arrival.device.root} was filled from a bucket: what it holds are objects"
        raise UsageError(what, remedy="leave --objects out")
    if found is None:
        what = f"device {arrival.device.root} has no {OBJECTS_NAME} at its top"
        raise UsageError(what, remedy="--objects is for a copy of a folder that objects were restored into")
    record, sequence = found
    listed = ListedObjects(table)
    with tempfile.SpooledTemporaryFile(_HELD_BYTES) as content:
        await _read(arrival, options, record, sequence, cast(BinaryIO, content))
        content.seek(0)
        await asyncio.to_thread(listed.take, cast(BinaryIO, content))
    return listed


def forgotten(arrival: Arrival) -> list[str]:
    """A note where the device has a list that nobody asked to go by."""
    if any(header.keys for header in arrival.manifest.headers) or _find(arrival) is None:
        return []
    note = f"the device has {OBJECTS_NAME}: with --objects its files become the objects that they were"
    return [f"{note}, with their keys, headers and tags"]


def _find(arrival: Arrival) -> tuple[File, int] | None:
    """The newest record of the list, and its segment."""
    for path, record, (sequence, _) in merged(arrival.manifest, LIST_PATH[:-1]):
        if path == LIST_PATH and isinstance(record, File):
            return record, sequence
        if path > LIST_PATH:
            break
    return None


class _Wish:
    """Which frames are to be opened: those with content of the list."""

    def __init__(self, *, needs_content: bool) -> None:
        self.needs_content = needs_content


async def _wish(group: FrameGroup) -> _Wish:
    has = any(isinstance(one, File | Chunk) and one.path_bytes == LIST_PATH for one in group.records)
    return _Wish(needs_content=has)


async def _read(arrival: Arrival, options: ImportOptions, record: File, last: int, content: BinaryIO) -> None:
    """Write the content of the list, verified."""
    found: list[Finding] = []
    stream = PackStream(arrival.device, arrival.files, Budget(_HELD_BYTES), 1, _wish, found.append)
    copy = _Copy(content)
    try:
        for header in _segments(arrival, last):
            async with aclosing(stream.frames(header.sequence, checked=True)) as frames:
                async for opened in frames:
                    try:
                        for one in opened.group.records:
                            if one.path_bytes == LIST_PATH:
                                copy.take(one, opened)
                    finally:
                        opened.hold.let_go()
    finally:
        await asyncio.to_thread(stream.close)
    if copy.digest.hexdigest() != record.blake3:
        raise IntegrityError(f"{OBJECTS_NAME} on the device is not what its manifest says")


def _segments(arrival: Arrival, last: int) -> list[Header]:
    """Those with records of the list, of the run whose segment `last` is."""
    headers = arrival.manifest.headers
    run = next(header.run for header in headers if header.sequence == last)
    mine = [header for header in headers if header.run == run and header.sequence <= last]
    return [one for one in mine if one.paths is not None and one.paths[0] <= LIST_PATH <= one.paths[1]]


class _Copy:
    """The content of the list on its way from the device."""

    def __init__(self, content: BinaryIO) -> None:
        self.digest = blake3()
        self._content = content

    def take(self, record: Entry, opened: OpenedFrame[_Wish]) -> None:
        """What one record brings.

        Raises:
            IntegrityError: it is damaged.
            TransferError: temporary disk does not take it.
        """
        if isinstance(record, Begin):  # another attempt may have come before
            self.digest = blake3()
            self._content.seek(0)
            self._content.truncate()
        if not isinstance(record, Chunk) and not (isinstance(record, File) and record.offset is not None):
            return
        if damage := opened.damage or opened.defects.get(LIST_PATH, ""):
            raise IntegrityError(f"{OBJECTS_NAME} on the device is damaged: {damage}")
        start = (record.offset or 0) if isinstance(record, File) else 0
        piece = memoryview(opened.content)[start : start + record.size_bytes]
        self.digest.update(piece)
        try:
            self._content.write(piece)
        except OSError as error:
            what = f"{OBJECTS_NAME} does not fit into {tempfile.gettempdir()}: {error.strerror}"
            raise TransferError(what, remedy="set TMPDIR to a folder with more room") from error
