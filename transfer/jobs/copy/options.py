"""What a person asks of copy."""

from __future__ import annotations

from dataclasses import dataclass, field

from transfer.core.filters import Filter
from transfer.jobs.filling.result import FillOptions


@dataclass(frozen=True)
class CopyOptions(FillOptions):
    """The options of copy; `workers` are worker processes, and threads for the chunks of large files.

    Attributes:
        checksum: compare content, not size and mtime.
    """

    filter: Filter = field(default_factory=Filter)
    checksum: bool = False
    follow_links: bool = False
    one_file_system: bool = False
    xattrs: bool = False
