"""What was measured, as values: the costs of each run, the programs of each work, the works of one report.

The report is written as JSON and read back from it, so that tables and the chart can be drawn anew without
measuring. Medians and spreads are computed here and nowhere else. Nothing in this module touches the machine.
"""

from __future__ import annotations

import statistics
from typing import Literal

import msgspec

MIB = 1 << 20

Kind = Literal["us", "peer", "reference"]
"""`us` is judged, a `peer` is what we are compared with, a `reference` only helps to understand."""


class Cost(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one run: seconds by the clock; processor seconds of all its processes, of the server it talked to,
    and of everything else on the machine meanwhile."""

    wall_s: float
    cpu_s: float | None = None
    server_cpu_s: float | None = None
    others_cpu_s: float | None = None


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One program at one work; without costs `note` says why it has none."""

    program: str
    kind: Kind
    costs: list[Cost] = []
    peak_bytes: int | None = None
    note: str = ""


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One work; without entries `notes` say why it was not done."""

    key: str
    title: str
    entries: list[Entry] = []
    notes: list[str] = []


class Report(msgspec.Struct, frozen=True):
    """One run of the harness. `machine` maps what it is to how it is told; `scale` is 1 for the real data."""

    started: str
    machine: dict[str, str]
    rounds: int
    scale: float
    rows: list[Row]


class Spread(msgspec.Struct, frozen=True):
    """Median, least and most of several measurements."""

    median: float
    least: float
    most: float


Metric = Literal["wall_s", "cpu_s", "peak_mib"]


def spread(entry: Entry, metric: Metric) -> Spread | None:
    """Of one metric over all rounds; None where it was not measured. Peaks come from one round alone."""
    if metric == "peak_mib":
        values = [] if entry.peak_bytes is None else [entry.peak_bytes / MIB]
    else:
        values = [value for cost in entry.costs if (value := getattr(cost, metric)) is not None]
    if not values:
        return None
    return Spread(statistics.median(values), min(values), max(values))


def busy_share(entry: Entry, what: Literal["server_cpu_s", "others_cpu_s"]) -> float | None:
    """Median of how many processors the server, or everybody else, kept busy during the runs."""
    shares = [value / cost.wall_s for cost in entry.costs if (value := getattr(cost, what)) is not None]
    return statistics.median(shares) if shares else None


def our_entry(row: Row) -> Entry | None:
    """The entry that peers are compared with: ours, where there is just one."""
    ours = [entry for entry in row.entries if entry.kind == "us"]
    return ours[0] if len(ours) == 1 else None


def ratio(row: Row, peer: Entry, metric: Metric) -> float | None:
    """Our median over the peer's; None where one of both is missing."""
    ours = our_entry(row)
    if ours is None or peer.kind != "peer":
        return None
    mine, theirs = spread(ours, metric), spread(peer, metric)
    return mine.median / theirs.median if mine and theirs and theirs.median > 0 else None


def encode(report: Report) -> bytes:
    """The report as indented JSON with a line feed at its end."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def decode(document: bytes) -> Report:
    """What `encode` wrote; msgspec.ValidationError for anything else."""
    return _DECODER.decode(document)


_DECODER = msgspec.json.Decoder(Report)
