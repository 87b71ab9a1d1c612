"""What a person asks of plan."""

from __future__ import annotations

from dataclasses import dataclass, field

from transfer.core.filters import Filter
from transfer.core.s3_limits import AWS_LIMITS, S3Limits
from transfer.formats.profile import DeviceProfile
from transfer.jobs.import_.options import Symlinks

FILE_COST_S = 0.0001
"""What a file costs beside its bytes: docs/performance.md has 0.03 ms in memory and 0.07 ms on a disk."""

OBJECT_COST_S = 0.001
"""What an object costs when it is read: 32 requests at a time, 30 ms each."""

UTILIZATION = 0.8
"""The part of a line that a transfer over days gets: the rest is for protocols, pauses and other people."""


@dataclass(frozen=True)
class PlanOptions:
    """The options of plan.

    Attributes:
        profile: of the devices.
        capacity_bytes: of each of them instead of the profile's.
        copies: of each device, written at once.
        filter: which files of a folder are taken.
        follow_links: symbolic links are followed, as in copy.
        one_file_system: as in copy.
        prefix: that keys get at the destination.
        limits: of the destination.
        symlinks: what the import is to make of symbolic links.
        source_bytes_s: how fast the source can be read; None: faster than the device is written.
        file_cost_s: what a file costs beside its bytes; None: what was measured or is assumed.
        uplink_bits_s: of the line to compare with.
        utilization: the part of the line that is counted on, over 0 to 1.
        carrier_days: instead of the profile's.
        samples: read some of a folder's content, to estimate compression.
        list_path: where every refused entry is listed.
        overwrite: that list may replace a file.
    """

    profile: DeviceProfile
    capacity_bytes: int | None = None
    copies: int = 1
    filter: Filter = field(default_factory=Filter)
    follow_links: bool = False
    one_file_system: bool = False
    prefix: str = ""
    limits: S3Limits = AWS_LIMITS
    symlinks: Symlinks = Symlinks.REPORT
    source_bytes_s: int | None = None
    file_cost_s: float | None = None
    uplink_bits_s: int | None = None
    utilization: float = UTILIZATION
    carrier_days: float | None = None
    samples: bool = False
    list_path: str | None = None
    overwrite: bool = False
