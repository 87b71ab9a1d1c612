"""What a plan found, as it is told to people and, with --json, to programs."""

from __future__ import annotations

from msgspec import Struct

from transfer.jobs.plan.histogram import SizeStep
from transfer.jobs.plan.refusals import By, Refusal
from transfer.jobs.plan.sample import Sampled
from transfer.jobs.plan.schedule import Schedule
from transfer.jobs.plan.spans import DeviceFill


class Counts(Struct):
    """What there is; sizes in bytes.

    Attributes:
        entries: that a copy would record: files, folders and links, but nothing that it skips.
        bytes: of files, each content once.
        hardlinks: further names of files, which cost no content.
        restored_bytes: of files under all their names: what a bucket would hold.
    """

    entries: int = 0
    files: int = 0
    folders: int = 0
    symlinks: int = 0
    hardlinks: int = 0
    delete_markers: int = 0
    bytes: int = 0
    restored_bytes: int = 0
    largest_bytes: int = 0


class Planned(Struct):
    """A plan.

    Attributes:
        destination: prefix and limits that keys were held against, in words.
        compression: what devices and times assume: content is planned as it is.
        sample: how far a sample of the content could be compressed; None where none was taken.
        likely_devices: that are needed if all of it can be compressed as far as the sample.
        device_bytes: what one device has room for; None: the profile takes disks of any size.
        devices: that are needed for one copy; None likewise.
        copies: of each device, as `copy --copies` writes them.
        fills: what each of the first 100 would hold.
        refused: how many entries would not arrive, or not under their names, by what refuses them.
        not_arriving: how many would not arrive.
        refused_first: the first 1,000 of these.
        renamed_first: the first 1,000 that a target would give another name.
        sizes: how many files are how large.
    """

    source: str
    profile: str
    destination: str
    counts: Counts
    sizes: list[SizeStep]
    device_bytes: int | None
    devices: int | None
    fills: list[DeviceFill]
    schedule: Schedule
    refused: dict[By, int]
    not_arriving: int
    refused_first: list[Refusal]
    renamed_first: list[Refusal]
    copies: int = 1
    compression: str = "none assumed"
    sample: Sampled | None = None
    likely_devices: int | None = None

    @property
    def exit_code(self) -> int:
        """3 where an entry would not arrive."""
        return 3 if self.not_arriving else 0
