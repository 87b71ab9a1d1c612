"""Reports with known figures, for the tests of what is computed and drawn from them."""

from __future__ import annotations

from tests.benchmarks.results import MIB, Cost, Entry, Kind, Report, Row


def entry(
    program: str, kind: Kind, *walls_s: float, cpu_s: float | None = None, peak_mib: float = 0
) -> Entry:
    """An entry with a cost for each wall time."""
    peak = round(peak_mib * MIB) or None
    return Entry(program, kind, [Cost(wall_s, cpu_s) for wall_s in walls_s], peak)


def report(*rows: Row, scale: float = 1.0) -> Report:
    """A report of these rows."""
    machine = {"processors": "2 x processor", "memory": "8.0 GiB"}
    return Report("2026-01-01 00:00 UTC", machine, 3, scale, list(rows))
