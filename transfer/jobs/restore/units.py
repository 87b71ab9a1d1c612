"""The runs of all devices that are restored together, oldest first; what is newer wins.

Runs of one device are numbered; runs of several are told apart by when they began, by the clock of the source
that filled them all, and of the same moment by ordinal. So the order depends on the devices alone, not on how
they were named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from transfer.core.merge import LaterPaths, PathRecord
from transfer.core.records import Header
from transfer.device.manifest import Manifest
from transfer.errors import IntegrityError
from transfer.jobs.import_.arrival import Arrival


@dataclass(frozen=True)
class Unit:
    """One run of one device.

    Attributes:
        age: its place among all of the job, from 0, the oldest.
        source: which of the devices.
        run: its number there.
        headers: of its segments that can be trusted and are looked at, in order.
    """

    age: int
    source: int
    run: int
    arrival: Arrival
    headers: Sequence[Header]

    @property
    def bounds(self) -> tuple[bytes, bytes] | None:
        """The first and the last path; None where there are none."""
        paths = [header.paths for header in self.headers if header.paths is not None]
        return (paths[0][0], paths[-1][1]) if paths else None

    def records(self, bounds: tuple[bytes, bytes] | None = None) -> Iterator[PathRecord]:
        """The entries, in order; at least those between `bounds`, which is given so that less is read.

        A segment that breaks off is left there: whoever reads its pack reports it.
        """
        for header in self.headers:
            if bounds is not None and not _touch(header.paths, bounds):
                continue
            try:
                yield from Manifest(self.arrival.device, [header]).run_records(self.run)
            except IntegrityError:
                continue


def units_of(arrivals: Sequence[Arrival], is_needed: Callable[[Header], bool]) -> list[Unit]:
    """All runs of the devices, oldest first.

    Args:
        arrivals: the devices, checked on arrival.
        is_needed: whether anything that a segment tells of is wanted.
    """
    found: list[tuple[str, int, int, int, list[Header]]] = []
    for source, arrival in enumerate(arrivals):
        began = ""
        for run in arrival.manifest.runs:
            headers = [header for header in arrival.manifest.headers if header.run == run]
            # A clock may go back; the numbers of runs do not.
            began = max([began, *(header.run_started.removesuffix("Z") for header in headers)])
            found.append((began, arrival.device.document.ordinal, run, source, headers))
    found.sort(key=lambda item: item[:4])
    return [
        Unit(age, source, run, arrivals[source], [header for header in headers if is_needed(header)])
        for age, (_, _, run, source, headers) in enumerate(found)
    ]


def later_paths(units: Sequence[Unit], unit: Unit) -> LaterPaths:
    """What newer runs have of the paths of a unit; of runs that have none in common nothing is read."""
    bounds = unit.bounds
    if bounds is None:
        return LaterPaths([])
    newer = [other for other in units[unit.age + 1 :] if _touch(other.bounds, bounds)]
    return LaterPaths([other.records(bounds) for other in newer])


def is_alone(units: Sequence[Unit], unit: Unit) -> bool:
    """Whether a unit's device has no other run, and no other device anything between its paths."""
    bounds = unit.bounds
    others = [other for other in units if other is not unit]
    return all(
        other.source != unit.source and (bounds is None or not _touch(other.bounds, bounds))
        for other in others
    )


def _touch(one: tuple[bytes, bytes] | None, other: tuple[bytes, bytes]) -> bool:
    return one is not None and one[0] <= other[1] and other[0] <= one[1]
