"""What an import would do, from the manifest alone."""

from __future__ import annotations

from msgspec import Struct, field

from transfer.core.object_keys import object_key
from transfer.core.object_metadata import check_metadata
from transfer.core.paths import display
from transfer.core.records import Failed, File, Hardlink, Skipped, Symlink
from transfer.jobs.import_.files import object_metadata
from transfer.jobs.import_.job import receive
from transfer.jobs.import_.options import ImportOptions, Symlinks

MAX_LISTED = 1000


class Refused(Struct):
    """An entry that could not go."""

    key: str
    error: str


class Measured(Struct):
    """What would be written, and what could not be; `refused` lists the first MAX_LISTED."""

    objects: int = 0
    bytes: int = 0
    refusals: int = 0
    refused: list[Refused] = field(default_factory=list)


def measure(root: str, options: ImportOptions) -> Measured:
    """Go through the merged view of a device.

    Raises:
        TransferError: as the import would.
    """
    measured = Measured()

    def refuse(path: bytes, reason: str) -> None:
        measured.refusals += 1
        if len(measured.refused) < MAX_LISTED:
            measured.refused.append(Refused(display(path), reason))

    arrival = receive(root, options, lambda finding: refuse(finding.file.encode(), str(finding)))
    for path, record in arrival.manifest.merged():
        match record:
            case Failed() | Skipped():
                refuse(path, f"not on the device: {record.reason}")
            case Symlink() if options.symlinks is Symlinks.REPORT:
                refuse(path, "symbolic link: a bucket has none (see --symlinks)")
            case File() | Hardlink():
                _file(measured, path, record, options, refuse)
    return measured


def _file(measured: Measured, path: bytes, record: File | Hardlink, options: ImportOptions, refuse) -> None:  # type: ignore[no-untyped-def]
    if not options.filter.accepts_file(path, record.size_bytes):
        return
    _, problem = object_key(options.prefix, path, options.limits)
    problem = problem or (check_metadata(object_metadata(record), options.limits) or "")
    if not problem and record.size_bytes > options.limits.object_max_bytes:
        problem = f"larger than the store's {options.limits.object_max_bytes:,} bytes"
    if problem:
        refuse(path, problem)
    else:
        measured.objects += 1
        measured.bytes += record.size_bytes


