"""A report as one table: aligned text for a terminal, or Markdown for the documentation.

Both hold the same cells: medians with their spread, our ratio to each peer, and each target with its mark.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.results import Entry, Metric, Report, Row, busy_share, ratio, spread
from tests.benchmarks.targets import Verdict, judge

HEADINGS = ("program", "wall s", "least-most", "cpu s", "peak MiB", "us : it, wall", "us : it, cpu", "target")
_UNITS: dict[Metric, str] = {"wall_s": "s", "cpu_s": "s cpu", "peak_mib": "MiB"}
_NOISE_CORES = 0.2


def text(report: Report) -> str:
    """The table for a terminal: a heading for each work, columns aligned over all of them."""
    blocks = [(row, [_cells(row, entry) for entry in row.entries]) for row in report.rows]
    widths = [len(heading) for heading in HEADINGS]
    for _, lines in blocks:
        for line in lines:
            widths = [max(width, len(cell)) for width, cell in zip(widths, line, strict=True)]
    shown = [_aligned(HEADINGS, widths)]
    for row, lines in blocks:
        shown += ["", f"{row.key}: {row.title}"]
        shown += [_aligned(line, widths) for line in lines]
        shown += [f"  note: {note}" for note in notes(row)]
    return "\n".join(shown)


def markdown(report: Report) -> str:
    """The same as Markdown: a section with a table for each work, and the machine first."""
    shown = [f"Measured {report.started}; {report.rounds} rounds.", ""]
    if report.scale != 1:
        shown += [f"The datasets were scaled by {report.scale:g}: no targets apply.", ""]
    shown += ["| machine | |", "|---|---|"]
    shown += [f"| {_escaped(name)} | {_escaped(value)} |" for name, value in report.machine.items()]
    for row in report.rows:
        shown += ["", f"### {row.key}: {row.title}", ""]
        if row.entries:
            shown += ["| " + " | ".join(HEADINGS) + " |", "|---" + "|--:" * 6 + "|---|"]
            shown += ["| " + " | ".join(map(_escaped, _cells(row, entry))) + " |" for entry in row.entries]
            shown.append("")
        shown += [f"- {note}" for note in notes(row)]
    return "\n".join(shown).rstrip()


def notes(row: Row) -> list[str]:
    """What must be known beside the figures: of the row, of its entries, and of the load from elsewhere."""
    told = list(row.notes)
    told += [f"{entry.program}: {entry.note}" for entry in row.entries if entry.note]
    servers = {entry.program: busy_share(entry, "server_cpu_s") for entry in row.entries}
    if busy := [f"{name} {share:.2f}" for name, share in servers.items() if share is not None]:
        told.append(f"processors the sink kept busy meanwhile: {', '.join(busy)}")
    others = [busy_share(entry, "others_cpu_s") for entry in row.entries]
    noise = max((share for share in others if share is not None), default=0.0)
    if noise > _NOISE_CORES:
        told.append(
            f"up to {noise:.1f} processors were busy with something else: others, or the kernel's own threads"
        )
    return told


def _cells(row: Row, entry: Entry) -> tuple[str, ...]:
    wall, cpu, peak = (spread(entry, metric) for metric in ("wall_s", "cpu_s", "peak_mib"))
    verdicts = [verdict for verdict in judge(row) if verdict.target.program == entry.program]
    return (
        entry.program,
        _number(wall.median) if wall else "-",
        f"{_number(wall.least)}-{_number(wall.most)}" if wall else "-",
        _number(cpu.median) if cpu else "-",
        f"{peak.median:.0f}" if peak else "-",
        _ratio(ratio(row, entry, "wall_s")),
        _ratio(ratio(row, entry, "cpu_s")),
        "; ".join(_told(verdict, entry) for verdict in verdicts),
    )


def _told(verdict: Verdict, entry: Entry) -> str:
    unit = _UNITS[verdict.target.metric]
    what = {"s": "x", "s cpu": "x cpu"}[unit] if entry.kind == "peer" else unit
    return f"<= {verdict.target.limit:g} {what}: {verdict.mark}"


def _number(seconds: float) -> str:
    return f"{seconds:.3f}" if seconds < 1 else f"{seconds:.2f}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    """First and last column to the left, numbers to the right."""
    middle = [cell.rjust(width) for cell, width in zip(cells[1:-1], widths[1:-1], strict=True)]
    return "  ".join([cells[0].ljust(widths[0]), *middle, cells[-1]]).rstrip()


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
