"""Reading a device's manifest: headers, records of one run, the merged view of all runs (FORMAT.md §9 to
§11).

Everything is a stream; memory does not grow with the number of entries. Form, counts and digests of each
segment are checked as it is read; the rules of order and the content of packs are the business of verify and
import.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from transfer.core.merge import PathRecord, SpottedRecord, merge_runs
from transfer.core.paths import check_path, display
from transfer.core.record_rules import check_key
from transfer.core.records import (
    AnyRecord,
    DeleteMarker,
    Directory,
    Failed,
    File,
    Hardlink,
    Header,
    Removed,
    Skipped,
    Symlink,
)
from transfer.device.device import Device
from transfer.device.disk import device_errors
from transfer.device.encryption import for_this_device, require_open
from transfer.errors import FormatError, IntegrityError
from transfer.formats.segment import MAX_SEGMENT_BYTES, read_header, read_records

_LISTED = (File, Directory, Symlink, Hardlink, Removed, DeleteMarker, Failed, Skipped)


def open_regular(path: str) -> BinaryIO:
    """A file of the device for reading; never a link, a device node or a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FormatError(f"{path} is not a regular file", remedy="do not trust this device")
    return os.fdopen(descriptor, "rb")


@contextlib.contextmanager
def open_segment(device: Device, sequence: int) -> Iterator[BinaryIO]:
    """A segment for reading, decrypted where it is encrypted.

    Raises:
        FormatError: it is larger than a segment may be, or is encrypted to others than the device says.
        IntegrityError: it does not begin as an age file does.
        DeviceError: it cannot be read.
        AccessError: it is encrypted, and nothing is at hand that opens it.
    """
    with device_errors(device.root):
        file = open_regular(device.layout.segment(sequence))
    with file:
        if os.fstat(file.fileno()).st_size > MAX_SEGMENT_BYTES:
            raise FormatError(f"segment {sequence} is larger than {MAX_SEGMENT_BYTES} bytes")
        if not device.document.is_encrypted:
            yield file
            return
        from transfer.formats.age.reader import AgeReader  # noqa: PLC0415  (start-up time)

        require_open(device)
        with named(sequence), device_errors(device.root), for_this_device():
            reader = AgeReader(file, device.identities)
        yield cast(BinaryIO, reader)


def segment_header(device: Device, sequence: int) -> Header:
    """The header of one segment, checked to be of this device and number.

    Raises:
        FormatError: it is another's.
        IntegrityError: it is damaged.
        DeviceError: it cannot be read.
    """
    with open_segment(device, sequence) as file, named(sequence), device_errors(device.root):
        header = read_header(file)
        check_identity(device, sequence, header)
        return header


def segment_records(device: Device, sequence: int) -> Iterator[list[AnyRecord]]:
    """The records of one segment in blocks; raises at the end when the segment was not whole.

    Raises:
        IntegrityError, DeviceError: as `segment_header`.
    """
    with open_segment(device, sequence) as file, named(sequence), device_errors(device.root):
        for block in read_records(file):
            if isinstance(block, Header):
                check_identity(device, sequence, block)
            else:
                yield block


def check_identity(device: Device, sequence: int, header: Header) -> None:
    """Raise FormatError when a segment is not this device's, or not the one its name says."""
    if header.device_id != device.document.device_id:
        raise FormatError("it belongs to another device")
    if header.sequence != sequence:
        raise FormatError(f"it says that it is segment {header.sequence}")
    if bool(header.pack_plain_bytes) != device.document.is_encrypted:
        raise FormatError("it is of an encrypted pack, or of none, where the device is otherwise")


@contextlib.contextmanager
def named(sequence: int) -> Iterator[None]:
    """Put the segment's number before whatever turns out to be wrong with it."""
    try:
        yield
    except IntegrityError as error:
        error.what = f"segment {sequence}: {error.what.removeprefix('segment ')}"
        raise


@dataclass(frozen=True)
class Manifest:
    """All segments of a device, by their headers."""

    device: Device
    headers: list[Header]

    @property
    def runs(self) -> list[int]:
        """The runs, oldest first."""
        return sorted({header.run for header in self.headers})

    def run_records(self, run: int, after: bytes = b"") -> Iterator[PathRecord]:
        """The entry, removed, failed and skipped records of one run behind path `after`, in order.

        Raises:
            FormatError: a path breaks FORMAT.md §5, or they are not in order.
            IntegrityError, DeviceError: as `segment_header`.
        """
        return ((path, record) for path, record, _ in self.spotted_records(run, after))

    def spotted_records(self, run: int, after: bytes = b"") -> Iterator[SpottedRecord]:
        """As `run_records`, each with the place of its record."""
        last = b""
        for header in self.headers:
            if header.run != run or header.paths is None or header.paths[1] <= after:
                continue
            check, position = check_key if header.keys else check_path, -1
            for block in segment_records(self.device, header.sequence):
                for record in block:
                    position += 1
                    if isinstance(record, _LISTED):
                        path = check(record.path_bytes)
                        if path < last:
                            raise FormatError(f"segment {header.sequence}: {display(path)} is out of order")
                        last = path
                        if path > after:
                            yield path, record, (header.sequence, position)

    def merged(self, after: bytes = b"", runs: list[int] | None = None) -> Iterator[PathRecord]:
        """The merged view behind path `after` (FORMAT.md §11), over all runs or those given."""
        chosen = self.runs if runs is None else runs
        return merge_runs([self.run_records(run, after) for run in chosen])


def read_manifest(device: Device, segments: list[int]) -> Manifest:
    """The manifest of a device whose segment numbers are known.

    Raises:
        FormatError: numbers are missing, or a header breaks the format.
    """
    for expected, sequence in enumerate(segments):
        if sequence != expected:
            raise FormatError(
                f"segment {expected} is missing", remedy="run `transfer verify` for the whole picture"
            )
    return Manifest(device, [segment_header(device, sequence) for sequence in segments])
