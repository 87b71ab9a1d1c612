"""What a person asks of export."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from transfer.core.object_selection import Selection
from transfer.jobs.export.work import BucketAddress, Restoring
from transfer.jobs.filling.result import FillOptions


class Tags(Enum):
    """Whose tags are asked for."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True)
class ExportOptions(FillOptions):
    """The options of export; `workers` are worker processes, and threads for the chunks of large objects.

    Attributes:
        history: all versions and delete markers, not only what is current.
        as_of: what was current then.
        keys: a file of keys; None: the bucket is listed.
        inventory: manifest or data file of an S3 Inventory report.
        restoring: how archived objects are asked for; None: they are reported.
        bwlimit: the value of the option; a rate of what comes in from the store.
        connections: requests under way at once.
    """

    address: BucketAddress = field(default_factory=lambda: BucketAddress("unnamed"))
    selection: Selection = field(default_factory=Selection)
    history: bool = False
    as_of: datetime | None = None
    keys: str | None = None
    inventory: str | None = None
    tags: Tags = Tags.AUTO
    restoring: Restoring | None = None
    bwlimit: str | None = None
    connections: int = 64
