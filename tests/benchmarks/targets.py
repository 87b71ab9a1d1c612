"""What must be reached, and whether it was: ratios to peers, and absolute limits.

A target is met when the median is at or below its limit. Where one of both sides was not measured, there is
no verdict, and that is said rather than left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.benchmarks.results import Metric, Report, Row, ratio, spread


@dataclass(frozen=True)
class Target:
    """`program` of `row` at most `limit`: our ratio to it where it is a peer, else its own value."""

    row: str
    program: str
    metric: Metric
    limit: float


@dataclass(frozen=True)
class Verdict:
    """A target with the value it is held against; None: not measured."""

    target: Target
    value: float | None

    @property
    def mark(self) -> str:
        """The verdict in words."""
        if self.value is None:
            return "not measured"
        return "met" if self.value <= self.target.limit else "NOT MET"

    @property
    def is_missed(self) -> bool:
        """Whether it was measured, and missed."""
        return self.value is not None and self.value > self.target.limit


COPY, VERIFY, IMPORT = "transfer copy", "transfer verify", "transfer import"
EXPORT, RESTORE = "transfer export", "transfer restore"
INFO, HELP = "transfer info", "transfer --help"
CP, RSYNC, RCLONE, TAR, RESTIC, BAGIT = (
    "cp -a",
    "rsync -a",
    "rclone copy",
    "tar | zstd -1",
    "restic",
    "cp + bagit",
)
B3SUM, S5CMD, RESTIC_RESTORE = "b3sum", "s5cmd cp", "restic restore"

MEMORY_MIB = 400
RESUME_S = 0.5
STARTUP_S = 0.25

TARGETS = (
    Target("copy-small", CP, "wall_s", 1.3),
    Target("copy-small", RSYNC, "wall_s", 0.65),
    Target("copy-small", TAR, "wall_s", 1.0),
    Target("copy-small", RCLONE, "wall_s", 0.2),
    Target("copy-small", RESTIC, "wall_s", 0.25),
    Target("copy-small-disk", CP, "wall_s", 0.6),
    Target("copy-large", CP, "wall_s", 1.8),
    Target("copy-large", RSYNC, "wall_s", 0.5),
    Target("copy-large", RCLONE, "wall_s", 0.5),
    Target("copy-large", TAR, "wall_s", 0.6),
    Target("verify-small", B3SUM, "wall_s", 1.3),
    Target("verify-large", B3SUM, "wall_s", 1.3),
    Target("resume", COPY, "wall_s", RESUME_S),
    Target("resume-ten", COPY, "wall_s", RESUME_S),
    Target("import-large", S5CMD, "wall_s", 0.8),
    Target("import-large", S5CMD, "cpu_s", 0.8),
    Target("import-small", S5CMD, "wall_s", 1.0),
    Target("export-large", S5CMD, "wall_s", 1.0),
    Target("export-large", RCLONE, "wall_s", 1.0),
    Target("export-small", S5CMD, "wall_s", 1.0),
    Target("export-small", RCLONE, "wall_s", 1.0),
    Target("restore-small", CP, "wall_s", 1.3),
    Target("restore-small", RESTIC_RESTORE, "wall_s", 0.5),
    Target("restore-large", CP, "wall_s", 1.3),
    Target("restore-large", RESTIC_RESTORE, "wall_s", 0.5),
    Target("startup", HELP, "wall_s", STARTUP_S),
    Target("startup", INFO, "wall_s", STARTUP_S),
    Target("memory", COPY, "peak_mib", MEMORY_MIB),
    Target("memory", VERIFY, "peak_mib", MEMORY_MIB),
    Target("memory", IMPORT, "peak_mib", MEMORY_MIB),
)


def judge(row: Row) -> list[Verdict]:
    """A verdict for each target of the row, in the order of the targets."""
    return [Verdict(target, _value(row, target)) for target in TARGETS if target.row == row.key]


def missed(report: Report) -> list[Verdict]:
    """The targets that were measured and missed."""
    return [verdict for row in report.rows for verdict in judge(row) if verdict.is_missed]


def _value(row: Row, target: Target) -> float | None:
    for entry in row.entries:
        if entry.program == target.program:
            if entry.kind == "peer":
                return ratio(row, entry, target.metric)
            measured = spread(entry, target.metric)
            return measured.median if measured else None
    return None
