"""The frames of a pack beside the records of its segment: what verify and import read, in the order of the
pack.

A group is a frame record with the records of what it holds. The records come checked by `StreamRules`, the
stored bytes come as they are: nothing is decompressed here. One pass over each file; memory is one frame and
its records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from transfer.core.records import DeleteMarker, Entry, Failed, Frame, Header, Removed, Skipped
from transfer.core.stream_rules import StreamRules
from transfer.device.device import Device
from transfer.device.disk import device_errors
from transfer.device.manifest import check_identity, named, open_segment
from transfer.device.pack_source import PackSource
from transfer.errors import FormatError, IntegrityError
from transfer.formats.seek_table import table_bytes
from transfer.formats.segment import read_records

MAX_GROUP_RECORDS = 140_000
"""More members than that, of a header block each, no B frame can hold (FORMAT.md §7)."""
MAX_LOOSE_RECORDS = 1_000
MAX_MARKERS = 100_000
"""Delete markers behind each other that may stand between two members of one frame (FORMAT.md §10)."""


_FRAMELESS = (Removed, Failed, Skipped)


@dataclass
class FrameGroup:
    """A frame and the records of what it holds, in order.

    With `frame` None: some of the records that need none, in order among themselves; they come before or
    behind the frame that they stand beside, there may be any number of them. Delete markers stand in order
    among the records of frames; very many of them behind each other come in groups without a frame.

    Attributes:
        positions: of each record in its segment: how many records stand before it.
    """

    sequence: int
    index: int
    frame: Frame | None
    records: list[Entry] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)


def frame_groups(device: Device, sequence: int, rules: StreamRules) -> Iterator[FrameGroup]:
    """The groups of one segment, in order, each checked before it is given.

    Raises:
        FormatError: the segment breaks FORMAT.md; what was given before obeyed it.
        IntegrityError: the segment is damaged.
        DeviceError: it cannot be read.
    """
    group, loose = FrameGroup(sequence, -1, None), FrameGroup(sequence, -1, None)
    position = markers = 0
    for accepted in _records(device, sequence, rules):
        if isinstance(accepted, Frame):
            if group.frame is not None or group.records:
                yield group
            group = FrameGroup(sequence, rules.frame_index, accepted)
            position, markers = position + 1, 0
            continue
        if isinstance(accepted[0], DeleteMarker):
            markers += 1
            if markers > MAX_MARKERS:
                yield group
                group, markers = FrameGroup(sequence, rules.frame_index, None), 1
        elif not isinstance(accepted[0], _FRAMELESS):
            if group.frame is None and markers:  # without them: the end of a large file, before any frame
                raise FormatError(f"frame {group.index} has more than {MAX_MARKERS} delete markers in it")
            markers = 0
        _add(loose if isinstance(accepted[0], _FRAMELESS) else group, accepted, position)
        position += len(accepted)
        if len(loose.records) == MAX_LOOSE_RECORDS:
            yield loose
            loose = FrameGroup(sequence, -1, None)
    yield group
    if loose.records:
        yield loose


def _records(device: Device, sequence: int, rules: StreamRules) -> Iterator[Frame | Sequence[Entry]]:
    """The records of a segment, each accepted by the rules; entries in rows of one kind."""
    with open_segment(device, sequence) as file, named(sequence), device_errors(device.root):
        for block in read_records(file):
            if isinstance(block, Header):
                check_identity(device, sequence, block)
                rules.start(block)
            else:
                yield from rules.accept_all(block)
        rules.finish()


def _add(group: FrameGroup, records: Sequence[Entry], position: int) -> None:
    if len(group.records) + len(records) > MAX_GROUP_RECORDS + MAX_MARKERS:
        raise FormatError(f"frame {group.index} has more than {MAX_GROUP_RECORDS} records")
    group.records += records
    group.positions += range(position, position + len(records))


class PackReader:
    """Reads the frames of one pack in order, and keeps the digest of the whole file on the way."""

    def __init__(self, source: PackSource) -> None:
        self._source = source
        self._frames: list[tuple[int, int]] = []

    def read(self, frame: Frame) -> bytes:
        """The stored bytes of the next frame.

        Raises:
            IntegrityError: the pack ends before the frame does, or is not what was written there.
            OSError: the disk failed.
        """
        self._frames.append((frame.stored_bytes, frame.bytes))
        try:
            return self._take_whole(frame)
        except OSError:  # a bad sector costs this frame; the next one may be fine
            self._source.go_to(frame.offset + frame.stored_bytes)
            raise

    def read_alone(self, frame: Frame) -> bytes:
        """The stored bytes of any frame, for who does not want the digest of the pack.

        Raises:
            IntegrityError, OSError: as `read`.
        """
        self._source.go_to(frame.offset)
        return self._take_whole(frame)

    def rest(self) -> tuple[bytes, int, str]:
        """The seek table, the size and the digest of the whole pack; to be called behind the last frame.

        Raises:
            OSError: the disk failed.
        """
        table = self._take_rest(table_bytes(len(self._frames)))
        while extra := self._take_rest(1 << 20):
            table += extra[: max(0, (1 << 20) - len(table))]
        return table, self._source.stored_offset, self._source.digest()

    @property
    def frames(self) -> list[tuple[int, int]]:
        """Stored and decompressed size of the frames so far, as the seek table must have them."""
        return self._frames

    def _take_whole(self, frame: Frame) -> bytes:
        stored = self._source.take(frame.stored_bytes)
        if len(stored) < frame.stored_bytes:
            raise IntegrityError("the pack ends inside this frame")
        return stored

    def _take_rest(self, size: int) -> bytes:
        try:
            return self._source.take(size)
        except IntegrityError:  # its place is taken by as much that fits nothing; the digest says it as well
            return bytes(1)
