"""What a restore is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from transfer.core.filters import Filter
from transfer.device.encryption import NO_KEYS, Keys
from transfer.formats.allowed_signers import AllowedSigners


class IfExists(Enum):
    """What becomes of an entry whose name is taken in the directory."""

    SAME = "same"  # a file of the same size and time counts as restored; another one stays, the entry fails
    SKIP = "skip"  # whatever is there stays
    OVERWRITE = "overwrite"  # it is replaced, unless it is the same
    NEWER = "newer"  # it is replaced where it is older than the entry
    FAIL = "fail"  # whatever is there stays, and the entry fails


@dataclass(frozen=True)
class RestoreOptions:
    """Options of one restore.

    Attributes:
        filter: which files, and folders and links by their paths, are restored.
        if_exists: see `IfExists`.
        workers: threads that decompress and check.
        incomplete: take a device that is not sealed, or whose last copy did not end.
        keys: what opens it, if it is encrypted.
        signers: whose signatures count; None: it need not be signed.
        sets_owner: set owner and group, which only root may.
        memory_bytes: of opened frames at a time.
    """

    filter: Filter = field(default_factory=Filter)
    if_exists: IfExists = IfExists.SAME
    workers: int = 2
    incomplete: bool = False
    keys: Keys = NO_KEYS
    signers: AllowedSigners | None = None
    sets_owner: bool = False
    memory_bytes: int = 128 << 20
