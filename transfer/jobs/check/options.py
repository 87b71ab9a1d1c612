"""What a person asks of check."""

from __future__ import annotations

from dataclasses import dataclass, field

from transfer.core.filters import Filter
from transfer.device.encryption import NO_KEYS, Keys
from transfer.formats.allowed_signers import AllowedSigners
from transfer.jobs.import_.options import Symlinks


@dataclass(frozen=True)
class CheckOptions:
    """The options of check.

    Attributes:
        filter: which entries are compared, on both sides.
        quick: compare size and time of files, size of objects, and no content.
        download: read the objects of which the store has no checksum.
        download_all: read all of them.
        one_way: what the devices do not hold is of no interest.
        objects: the import went by the list of objects on the device.
        symlinks: what the import made of symbolic links; for buckets.
        escaped_names: a restore gave the entries names that the folder's file system takes.
        follow_links, one_file_system: as in the copy; for folders.
        workers: files that are read at a time.
        requests: to the bucket under way at once.
        keys: what opens encrypted devices.
        signers: whose signatures count; None: a device need not be signed.
    """

    filter: Filter = field(default_factory=Filter)
    quick: bool = False
    download: bool = False
    download_all: bool = False
    one_way: bool = False
    objects: bool = False
    symlinks: Symlinks = Symlinks.REPORT
    escaped_names: bool = False
    follow_links: bool = False
    one_file_system: bool = False
    workers: int = 2
    requests: int = 64
    keys: Keys = NO_KEYS
    signers: AllowedSigners | None = None
