"""What an import would do: the same decisions, but no pack is read and nothing is sent."""

from __future__ import annotations

from msgspec import Struct, field

from transfer.core.records import Directory, Entry, Failed, File, Hardlink, Metadata, Skipped, Symlink
from transfer.jobs.import_.arrival import merged, receive
from transfer.jobs.import_.entries import is_wanted, key_of, link_problem, target_of
from transfer.jobs.import_.options import ImportOptions, Symlinks
from transfer.jobs.import_.others import missing_reason, with_emptiness

MAX_LISTED = 1000


class Refused(Struct):
    """An entry that could not go."""

    key: str
    error: str


class Measured(Struct):
    """What would be written, and what could not be.

    Attributes:
        objects, bytes: of files, hard links, folder markers and symbolic links.
        refused: the first MAX_LISTED of `refusals`.
        findings: what is wrong with the device, as text.
    """

    objects: int = 0
    bytes: int = 0
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
    sent_links = options.symlinks is Symlinks.RCLONE
    told = with_emptiness(merged(arrival.manifest), symlinks_have_keys=sent_links)
    for (path, record, _), is_empty in told:
        size = record.size_bytes if isinstance(record, File | Hardlink) else None
        if is_wanted(path, size, options.filter):
            _one(measured, path, record, is_empty, options)
    return measured


def _one(measured: Measured, path: bytes, record: Entry, is_empty: bool, options: ImportOptions) -> None:
    match record:
        case Failed() | Skipped():
            measured.refuse(key_of(path, options), missing_reason(record))
        case Symlink() if options.symlinks is Symlinks.REPORT:
            measured.refuse(key_of(path, options), link_problem(record))
        case Symlink() if options.symlinks is Symlinks.RCLONE:
            _object(measured, path, record, len(record.target_bytes), options)
        case Directory() if is_empty and options.filter.accepts_file(path):
            _object(measured, path, record, 0, options)
        case File() | Hardlink():
            _object(measured, path, record, record.size_bytes, options)
        case _:  # a folder with content, or a symbolic link to be skipped
            pass


def _object(measured: Measured, path: bytes, record: Metadata, size: int, options: ImportOptions) -> None:
    target = target_of(path, record, size, options)
    if target.problem:
        measured.refuse(target.key, target.problem)
    else:
        measured.accept(size)
