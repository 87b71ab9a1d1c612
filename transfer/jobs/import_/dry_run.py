"""What an import would do: the same decisions, but no pack is read (but for `--objects`, the list of objects)
and nothing is sent.
"""

from __future__ import annotations

import asyncio
from itertools import groupby

from msgspec import Struct, field

from transfer.core.records import (
    DeleteMarker,
    Directory,
    Entry,
    Failed,
    File,
    Hardlink,
    Metadata,
    Skipped,
    Symlink,
)
from transfer.core.versions import version_of
from transfer.device.path_table import PathTable
from transfer.jobs.import_.arrival import Arrival, merged, receive
from transfer.jobs.import_.emptiness import with_emptiness
from transfer.jobs.import_.entries import is_wanted, link_problem, missing_reason
from transfer.jobs.import_.listed_objects import load
from transfer.jobs.import_.objects import facts_of
from transfer.jobs.import_.options import ImportOptions, Symlinks
from transfer.jobs.import_.targets import Targets

MAX_LISTED = 1000


class Refused(Struct):
    """An entry that could not go."""

    key: str
    error: str


class Measured(Struct):
    """What would be written, and what could not be.

    Attributes:
        objects, bytes: of files, hard links, folder markers and symbolic links, and of the newest version of
            each key.
        older_versions, older_bytes, delete_markers: what a bucket that keeps versions would get besides.
        refused: the first MAX_LISTED of `refusals`.
        findings: what is wrong with the device, as text.
    """

    objects: int = 0
    bytes: int = 0
    older_versions: int = 0
    older_bytes: int = 0
    delete_markers: int = 0
    refusals: int = 0
    refused: list[Refused] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    def refuse(self, key: str, error: str) -> None:
        """An entry that could not go."""
        self.refusals += 1
        if len(self.refused) < MAX_LISTED:
            self.refused.append(Refused(key, error))

    def accept(self, size_bytes: int) -> None:
        """An object that would be written."""
        self.objects += 1
        self.bytes += size_bytes


def measure(root: str, options: ImportOptions) -> Measured:
    """Go through the merged view of a device.

    Raises:
        TransferError: as the import would.
    """
    measured = Measured()
    arrival = receive(
        root,
        options.incomplete,
        lambda finding: measured.findings.append(str(finding)),
        options.keys,
        options.signers,
    )
    if options.object_file:
        with PathTable() as table:
            listed = asyncio.run(load(arrival, options, table))
            return _measure(measured, arrival, options, Targets(options, listed))
    return _measure(measured, arrival, options, Targets(options))


def _measure(measured: Measured, arrival: Arrival, options: ImportOptions, targets: Targets) -> Measured:
    sent_links = options.symlinks is Symlinks.RCLONE
    told = with_emptiness(merged(arrival.manifest), symlinks_have_keys=sent_links)
    for path, entries in groupby(told, key=lambda entry: entry[0][0]):
        records = [(record, is_empty) for (_, record, _), is_empty in entries]
        versions = [record for record, _ in records if version_of(record) is not None]
        for record, is_empty in records:
            size = record.size_bytes if isinstance(record, File | Hardlink) else None
            is_object = facts_of(record) is not None
            if not is_wanted(path, size, options.filter, is_object=is_object) or targets.is_list(path):
                continue
            if versions and version_of(record) is not None and record is not versions[-1]:
                _older(measured, path, record, targets)
            else:
                _one(measured, path, record, is_empty, options, targets)
    return measured


def _older(measured: Measured, path: bytes, record: Entry, targets: Targets) -> None:
    """A version that is not the newest of its key."""
    if isinstance(record, DeleteMarker):
        measured.delete_markers += 1
    elif isinstance(record, File):
        target = targets.of(path, record, record.size_bytes)
        if target.problem:
            measured.refuse(target.key, target.problem)
        else:
            measured.older_versions += 1
            measured.older_bytes += record.size_bytes


def _one(
    measured: Measured,
    path: bytes,
    record: Entry,
    is_empty: bool,
    options: ImportOptions,
    targets: Targets,
) -> None:
    match record:
        case Failed() | Skipped():
            measured.refuse(targets.key(path), missing_reason(record))
        case Symlink() if options.symlinks is Symlinks.REPORT:
            measured.refuse(targets.key(path), link_problem(record))
        case Symlink() if options.symlinks is Symlinks.RCLONE:
            _object(measured, path, record, len(record.target_bytes), targets)
        case Directory() if (is_empty or targets.is_listed(path)) and options.filter.accepts_file(path):
            _object(measured, path, record, 0, targets)
        case DeleteMarker():
            measured.delete_markers += 1
        case File() | Hardlink():
            _object(measured, path, record, record.size_bytes, targets)
        case _:  # a folder with content, or a symbolic link to be skipped
            pass


def _object(measured: Measured, path: bytes, record: Metadata, size: int, targets: Targets) -> None:
    target = targets.of(path, record, size)
    if target.problem:
        measured.refuse(target.key, target.problem)
    else:
        measured.accept(size)
