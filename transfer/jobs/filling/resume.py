"""Where copy goes on: the state of the last run, read from the device's last segments (FORMAT.md §11,
§13)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from transfer.core.records import Begin, C, Chunk, Entry, Frame, Header, P, Void
from transfer.core.stream_rules import hex_number
from transfer.device.device import Device, take_inventory
from transfer.device.disk import device_errors, sync_directory
from transfer.device.layout import (
    DEVICE_NAME,
    PARTIAL_SUFFIX,
    RECOVERY_NAME,
    SCRIPT_NAME,
    SEAL_NAME,
    SIGNATURE_NAME,
    sealed_names,
)
from transfer.device.manifest import Manifest, read_manifest, segment_records
from transfer.errors import DeviceError
from transfer.formats.tar import padding_bytes
from transfer.jobs.filling.chunks import ChunkSums, RunningSums
from transfer.jobs.filling.large_pieces import ResumedFile

_TOP_LEVEL = (DEVICE_NAME, RECOVERY_NAME, SCRIPT_NAME, SEAL_NAME, SIGNATURE_NAME)


@dataclass
class ResumePoint:
    """What the last run left.

    Attributes:
        manifest: all committed segments.
        deleted: uncommitted files that were deleted.
        run: number of the last run, 0 when there is none.
        is_open: the last run did not end.
        source: the last run's source.
        started: when the last run started.
        cursor: path of the last committed record of the open run; empty when there is none.
        open_file: the large file that the last pack ends in.
        filling_bytes: zeros that are still missing behind a large file that was given up.
        begins_again: the file at the cursor was given up, and is to be read once more.
        begins_in: number of the pack that the last member begins in, where the last pack ends inside it.
    """

    manifest: Manifest
    deleted: list[str] = field(default_factory=list)
    run: int = 0
    is_open: bool = False
    source: str = ""
    started: str = ""
    cursor: bytes = b""
    open_file: ResumedFile | None = None
    filling_bytes: int = 0
    begins_again: bool = False
    begins_in: int = 0

    @property
    def is_inside_member(self) -> bool:
        """Whether the last pack ends in the middle of a large file."""
        return bool(self.manifest.headers) and not self.manifest.headers[-1].ends_with_member

    @property
    def sequence(self) -> int:
        """Number of the next pack."""
        return len(self.manifest.headers)

    @property
    def used_bytes(self) -> int:
        """What the device's files take.

        Raises:
            DeviceError: it cannot be read.
        """
        layout, headers = self.manifest.device.layout, self.manifest.headers
        files = [layout.segment(header.sequence) for header in headers]
        files += [layout.at(name) for name in sealed_names(layout)]
        with device_errors(layout.root):
            others = sum(os.stat(path).st_size for path in files if os.path.lexists(path))
        return others + sum(header.pack_size_bytes for header in headers)


def find_resume_point(device: Device, *, clean: bool) -> ResumePoint:
    """Read where the last run ended; with `clean` delete what was not committed.

    Raises:
        FormatError, IntegrityError: the manifest is damaged.
        DeviceError: the device cannot be read, or a committed pack is missing.
    """
    inventory = take_inventory(device.layout)
    manifest = read_manifest(device, inventory.segments)
    present = set(inventory.packs)
    missing = next((header.sequence for header in manifest.headers if header.sequence not in present), None)
    if missing is not None:
        remedy = "run `transfer verify` for the whole picture, and copy to another device"
        what = f"device {device.root} lacks pack {device.layout.pack_name(missing)}"
        raise DeviceError(what, remedy=remedy)
    uncommitted = [
        device.layout.pack(number) for number in inventory.packs if number >= len(manifest.headers)
    ]
    strangers = [*inventory.strangers, *(name + PARTIAL_SUFFIX for name in _TOP_LEVEL)]
    partials = [device.layout.at(name) for name in strangers if name.endswith(PARTIAL_SUFFIX)]
    uncommitted += [path for path in partials if os.path.lexists(path)]
    point = ResumePoint(manifest, deleted=[os.path.basename(path) for path in uncommitted])
    if clean and uncommitted:
        _delete(device, uncommitted)
    if manifest.headers:
        _read_last_run(device, manifest.headers, point)
    return point


def _delete(device: Device, paths: list[str]) -> None:
    with device_errors(device.root):
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        for folder in sorted({os.path.dirname(path) for path in paths}):
            sync_directory(folder)


def _read_last_run(device: Device, headers: list[Header], point: ResumePoint) -> None:
    last = headers[-1]
    point.run, point.source, point.started = last.run, last.source, last.run_started
    point.is_open = not last.run_complete
    mine = [header for header in headers if header.run == last.run]
    if not point.is_open:
        return
    point.cursor = next((header.paths[1] for header in reversed(mine) if header.paths), b"")
    if point.cursor:
        _read_last_member(device, mine, point)


def _read_last_member(device: Device, mine: list[Header], point: ResumePoint) -> None:
    """What is there of the last member, when it is not whole."""
    sequences = range(_begin_of_last(mine, point.cursor), mine[-1].sequence + 1)
    begin: Begin | None = None
    sums, content_bytes = RunningSums(), 0
    for sequence in sequences:
        for record in _records(device, sequence):
            match record:
                case Begin():
                    begin, sums, content_bytes = record, RunningSums(), 0
                    point.begins_in = sequence
                case Chunk():
                    sums.add(_sums(record), record.size_bytes)
                case Frame(type=kind) if kind in (C, P):
                    content_bytes += record.bytes
            if not isinstance(record, Frame):
                point.begins_again = isinstance(record, Void)
    if begin is None or not point.is_inside_member:
        return
    if point.begins_again:
        point.filling_bytes = begin.size_bytes + padding_bytes(begin.size_bytes) - content_bytes
    else:
        point.open_file = ResumedFile(begin, sums, _digests(device, sequences))


def _begin_of_last(mine: list[Header], path: bytes) -> int:
    """The last pack that surely has the beginning of the member at `path`."""
    for header in reversed(mine):
        if header.paths and (header.starts_with_member or header.paths[0] != path):
            return header.sequence
    return mine[0].sequence


def _sums(chunk: Chunk) -> ChunkSums:
    return ChunkSums(chunk.blake3, hex_number(chunk.crc64nvme), hex_number(chunk.crc32c))


def _records(device: Device, sequence: int) -> Iterator[Frame | Entry]:
    for block in segment_records(device, sequence):
        yield from (record for record in block if isinstance(record, Frame | Entry))


def _digests(device: Device, sequences: range) -> Iterator[str]:
    """Digests of the chunks behind the last begin record, read once more rather than kept."""
    start = 0
    for sequence in sequences:  # which begin is the last one
        start += sum(isinstance(record, Begin) for record in _records(device, sequence))
    for sequence in sequences:
        for record in _records(device, sequence):
            if isinstance(record, Begin):
                start -= 1
            elif isinstance(record, Chunk) and start == 0:
                yield record.blake3
