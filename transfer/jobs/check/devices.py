"""The devices of a check: opened, judged by their seals, and looked at as one, newest entry of each path.

Several devices of a job are merged as the runs of one device are: of a path that several of them hold, the
entry of the run that began last counts. What a hard link stands for is on its own device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from msgspec import UNSET

from transfer.core.merge import Spot, SpottedRecord, merge_runs
from transfer.core.ordinals import may_go_on, told_devices
from transfer.core.records import Hardlink
from transfer.device.path_table import PathTable
from transfer.errors import IntegrityError, UsageError
from transfer.jobs.check.options import CheckOptions
from transfer.jobs.comparing.originals import Content, Originals
from transfer.jobs.import_.arrival import Arrival, receive
from transfer.jobs.restore.units import units_of
from transfer.jobs.verify.findings import Finding

_UNFINISHED = frozenset({"uncommitted", "stranger"})
"""What a copy that is under way or was interrupted leaves: no damage where there is no seal yet."""


@dataclass(frozen=True)
class Devices:
    """What is to be compared."""

    arrivals: list[Arrival]

    @property
    def files(self) -> int:
        """Entries of all runs: at least as many as are compared."""
        return sum(header.entries for one in self.arrivals for header in one.manifest.headers)

    @property
    def bytes(self) -> int:
        """Bytes of their content."""
        return sum(header.content_bytes for one in self.arrivals for header in one.manifest.headers)

    @property
    def have_keys(self) -> bool:
        """Whether any run holds objects of a bucket."""
        return any(header.keys for one in self.arrivals for header in one.manifest.headers)

    def entries(self) -> Iterator[SpottedRecord]:
        """The merged view; the first number of a place is that of the device.

        Raises:
            IntegrityError, DeviceError: a manifest cannot be read.
        """
        units = units_of(self.arrivals, lambda header: True)
        return merge_runs([self._records(unit.source, unit.run) for unit in units])

    def notes(self) -> list[str]:
        """What limits what a check can tell."""
        told = []
        for one in self.arrivals:
            headers = one.manifest.headers
            if one.files.seal is None:
                told.append(f"{one.device.root} is not sealed: only its own segments vouch for its manifest")
            if headers and not headers[-1].run_complete:
                told.append(f"the last copy to {one.device.root} did not end: it does not hold all it should")
        if missing := self._missing():
            job = self.arrivals[0].device.document.job
            later = may_go_on(missing, (one.device.document.ordinal for one in self.arrivals))
            numbers = told_devices(missing, later=later)
            told.append(f"of job {job}, not given: {numbers}; what is there alone is not looked for")
        return told

    def _missing(self) -> list[int]:
        """Ordinals of devices of the job that are told of, and were not given."""
        given = {one.device.document.ordinal for one in self.arrivals}
        known = set(range(1, max(given) + 1))
        for one in self.arrivals:
            if one.files.seal is not None and one.files.seal.devices is not UNSET:
                known.update(device.ordinal for device in one.files.seal.devices)
            if any(header.continues for header in one.manifest.headers):
                known.add(one.device.document.ordinal + 1)
        return sorted(known - given)

    def _records(self, number: int, run: int) -> Iterator[SpottedRecord]:
        for path, record, spot in self.arrivals[number].manifest.spotted_records(run):
            yield path, record, (number, spot[0])


class LinkContents:
    """The content of the hard links of several devices.

    Args:
        tables: one for each device.
    """

    def __init__(self, tables: Sequence[PathTable]) -> None:
        self._originals = [Originals(table) for table in tables]

    def find(self, devices: Devices) -> None:
        """Go over all manifests.

        Raises:
            IntegrityError, DeviceError: one cannot be read.
        """
        for originals, arrival in zip(self._originals, devices.arrivals, strict=True):
            originals.find(arrival.manifest)

    def of(self, path: bytes, record: Hardlink, spot: Spot) -> Content | None:
        """The content of a hard link; None where its device does not tell."""
        return self._originals[spot[0]].of(path)


def sizes_only(path: bytes, record: Hardlink, spot: Spot) -> Content:
    """As much of a hard link's content as a quick check wants to know."""
    return Content(record.size_bytes, "", "", "")


def open_devices(roots: Sequence[str], options: CheckOptions, report: Callable[[Finding], None]) -> Devices:
    """Open the devices.

    Args:
        roots: of devices of one job.
        options: keys and signers.
        report: told what is wrong with them, though their manifests are whole.

    Raises:
        UsageError: they are not of one job, or one is named twice.
        DeviceError: there is no device.
        AccessError: one is encrypted, and nothing was given that opens it.
        IntegrityError: a seal, signature or manifest is not what it should be.
    """
    arrivals = [_open_one(root, options, report) for root in roots]
    seen: dict[str, str] = {}
    for one in arrivals:
        identity = one.device.document
        if identity.job != arrivals[0].device.document.job:
            jobs = f"{arrivals[0].device.document.job} and {identity.job}"
            what = f"these are devices of several jobs: {jobs}"
            raise UsageError(what, remedy="check the devices of one job at a time")
        if identity.device_id in seen:
            what = f"{seen[identity.device_id]} and {one.device.root} are the same device"
            raise UsageError(what, remedy="name each device once")
        seen[identity.device_id] = one.device.root
    return Devices(arrivals)


def _open_one(root: str, options: CheckOptions, report: Callable[[Finding], None]) -> Arrival:
    found: list[Finding] = []
    arrival = receive(root, True, found.append, options.keys, options.signers)
    numbers = [header.sequence for header in arrival.manifest.headers]
    if len(numbers) != len(arrival.files.segments) or numbers != list(range(len(numbers))):
        told = f": {found[0]}" if found else ""
        raise IntegrityError(
            f"the manifest of {root} is not whole{told}",
            remedy="run `transfer verify` for the whole picture; nothing can be said of this device",
        )
    for finding in found:
        if arrival.files.seal is not None or finding.code not in _UNFINISHED:
            report(finding)
    return arrival
