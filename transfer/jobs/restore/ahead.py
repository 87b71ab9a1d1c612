"""A look ahead over the manifest, where it matters: which segments are needed for paths that were named, and
which hard links stand in for their files.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace

from transfer.core.records import File, Hardlink, Header
from transfer.jobs.import_.arrival import lost_segments
from transfer.jobs.import_.links import LinkStates
from transfer.jobs.restore.choice import Choice
from transfer.jobs.restore.units import Unit, later_paths
from transfer.jobs.verify.findings import Report


def with_link_targets(units: Sequence[Unit], choice: Choice) -> list[Unit]:
    """The units with the segments, too, that hold the files of wanted hard links."""
    return [_with_targets(unit, units, choice) for unit in units]


def without_lost_segments(units: Sequence[Unit], report: Report) -> list[Unit]:
    """The units without the segments that are not what they were; only those that are used are read."""
    lost: dict[int, set[int]] = {}
    for source in {unit.source for unit in units}:
        mine = [unit for unit in units if unit.source == source]
        numbers = {header.sequence for unit in mine for header in unit.headers}
        lost[source] = lost_segments(mine[0].arrival, numbers, report)
    return [
        replace(unit, headers=[header for header in unit.headers if header.sequence not in lost[unit.source]])
        for unit in units
    ]


def find_stand_ins(units: Sequence[Unit], links: Sequence[LinkStates], choice: Choice) -> None:
    """Have the first wanted link to each file that is not itself restored stand in for it.

    Args:
        units: all, oldest first.
        links: by age of the unit: those of its device.
        choice: what is wanted.
    """
    for unit, states in zip(units, links, strict=True):
        if choice.takes_all and not states.several_runs:
            continue
        later = later_paths(units, unit)
        for path, record in unit.records():
            if isinstance(record, File):
                states.file_ahead(unit.run, path, record)
            elif isinstance(record, Hardlink) and choice.has(path, record.size_bytes) and not later.has(path):
                states.offer_stand_in(path, record.target_bytes)


def _with_targets(unit: Unit, units: Sequence[Unit], choice: Choice) -> Unit:
    """A target is in this run or in an older one of the device: the segments of all of them are looked at."""
    targets: list[Header] = []
    for newer in units:
        if newer.source == unit.source and newer.run >= unit.run:
            wanted = (
                record.target_bytes
                for path, record in newer.records()
                if isinstance(record, Hardlink) and choice.has(path, record.size_bytes)
            )
            targets += _around(unit, wanted)
    needed = {header.sequence for header in [*unit.headers, *targets]}
    every = [header for header in unit.arrival.manifest.headers if header.run == unit.run]
    return replace(unit, headers=[header for header in every if header.sequence in needed])


def _around(unit: Unit, paths: Iterable[bytes]) -> list[Header]:
    """The segments that may hold one of these paths."""
    found: dict[int, Header] = {}
    every = [
        header
        for header in unit.arrival.manifest.headers
        if header.run == unit.run and header.paths is not None
    ]
    lasts = [header.paths[1] for header in every if header.paths is not None]
    for path in paths:
        for header in every[bisect_left(lasts, path) :]:
            if header.paths is not None and header.paths[0] > path:
                break
            found[header.sequence] = header
    return list(found.values())
