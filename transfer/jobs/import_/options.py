"""What a person asks of import."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from transfer.core.filters import Filter
from transfer.core.s3_limits import AWS_LIMITS, S3Limits
from transfer.device.encryption import NO_KEYS, Keys
from transfer.formats.allowed_signers import AllowedSigners
from transfer.jobs.import_.objects import KEEP


class Symlinks(Enum):
    """What becomes of symbolic links, which a bucket has no place for."""

    REPORT = "report"  # each is listed in failure.csv, and the import counts as partial
    SKIP = "skip"  # counted only
    RCLONE = "rclone"  # an object NAME.rclonelink that holds the target, as rclone --links has it


class IfExists(Enum):
    """What becomes of an entry whose key has an object already; see `arbiter`."""

    SAME = "same"
    SKIP = "skip"
    OVERWRITE = "overwrite"
    FAIL = "fail"


@dataclass(frozen=True)
class ImportOptions:
    """The options of import.

    Attributes:
        workers: threads that decompress and check.
        requests: small objects under way at once.
        memory_bytes: content held at once; a part more where parts are large.
        keys: what opens an encrypted device.
        incomplete: take a device whose last copy did not end, or that is not sealed.
        signers: whose signatures count; None: a device need not be signed.
        allow_older: take a device although a newer seal of it, or another of its generation, was seen before.
        who: who answers for it, for the device's custody log; None: nothing is written to the device.
        ignore_custody: take a device although its custody log is not what it was.
        storage_class: `keep` that of an exported object, `default`: the store's; or the name of one, for all.
        object_file: files go as the objects that the device's `.transfer-objects.jsonl` says they were.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    filter: Filter = field(default_factory=Filter)
    symlinks: Symlinks = Symlinks.REPORT
    if_exists: IfExists = IfExists.SAME
    workers: int = 2
    requests: int = 64
    memory_bytes: int = 160 << 20
    limits: S3Limits = AWS_LIMITS
    incomplete: bool = False
    signers: AllowedSigners | None = None
    allow_older: bool = False
    who: str | None = None
    ignore_custody: bool = False
    storage_class: str = KEEP
    object_file: bool = False
    keys: Keys = NO_KEYS
