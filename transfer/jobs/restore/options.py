"""What a restore is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from transfer.core.filters import Filter
from transfer.device.encryption import NO_KEYS, Keys
from transfer.formats.allowed_signers import AllowedSigners
from transfer.jobs.restore.if_exists import IfExists


@dataclass(frozen=True)
class RestoreOptions:
    """Options of one restore.

    Attributes:
        filter: which files, and folders and links by their paths, are restored.
        paths: of these, which alone, with all that is in them; none: everything.
        if_exists: see `IfExists`.
        names: what the directory takes as names: "auto" finds out.
        object_file: write the list of objects, where there are any.
        bag: make the directory a bag, with these fields in its bag-info.txt; None: it is none.
        workers: processes that write small files, threads that open large ones.
        incomplete: take devices that are not sealed, or whose last copy did not end.
        keys: what opens them, if they are encrypted.
        signers: whose signatures count; None: they need not be signed.
        heads: digests of custody entries that somebody wrote down, one for each device.
        sets_owner: set owner and group, which only root may.
        memory_bytes: of opened chunks at a time.
    """

    filter: Filter = field(default_factory=Filter)
    paths: tuple[bytes, ...] = ()
    if_exists: IfExists = IfExists.SAME
    names: Literal["auto", "posix", "windows", "macos"] = "auto"
    object_file: bool = True
    bag: tuple[tuple[str, str], ...] | None = None
    workers: int = 2
    incomplete: bool = False
    keys: Keys = NO_KEYS
    signers: AllowedSigners | None = None
    heads: tuple[str, ...] = ()
    sets_owner: bool = False
    memory_bytes: int = 128 << 20
