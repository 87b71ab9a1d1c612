"""The report as one picture: for each work that has peers, the median wall time of every program.

Bars are horizontal, shorter is better, ours in the one accent colour; a thin line shows least and most. Needs
matplotlib, which comes with the bench extra.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.results import Report, Row, spread

_ACCENT, _OTHERS, _INK, _GRID = "#0b6e99", "#c3c9ce", "#24292e", "#e4e7ea"
_COLUMNS = 2
_TITLES = {
    "copy-small": "copy SMALL, in memory",
    "copy-small-disk": "copy SMALL, disk, with sync",
    "copy-large": "copy LARGE, in memory",
    "copy-mixed": "copy MIXED, in memory",
    "verify-small": "verify the device of SMALL",
    "verify-large": "verify the device of LARGE",
    "import-small": "import SMALL's first part",
    "import-large": "import LARGE",
}


@dataclass(frozen=True)
class Bar:
    """Of one program, in seconds."""

    program: str
    is_ours: bool
    median_s: float
    least_s: float
    most_s: float


@dataclass(frozen=True)
class Panel:
    """One work, its bars from the shortest to the longest."""

    title: str
    bars: list[Bar]


def panels(report: Report) -> list[Panel]:
    """What is drawn; works without a measured peer are not."""
    drawn = [Panel(_TITLES[row.key], _bars(row)) for row in report.rows if row.key in _TITLES]
    return [panel for panel in drawn if len(panel.bars) > 1]


def _bars(row: Row) -> list[Bar]:
    found = []
    for entry in row.entries:
        wall = spread(entry, "wall_s")
        if wall is not None:
            found.append(Bar(entry.program, entry.kind == "us", wall.median, wall.least, wall.most))
    return sorted(found, key=lambda bar: bar.median_s)


def draw(report: Report, path: Path) -> bool:
    """Write the picture as PNG; False, and nothing written, where there is nothing to draw."""
    shown = panels(report)
    if not shown:
        return False
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    pairs = [shown[start : start + _COLUMNS] for start in range(0, len(shown), _COLUMNS)]
    places = [max(len(panel.bars) for panel in pair) for pair in pairs]
    heights = [(count + 2.5) * 0.25 for count in places]
    figure, grid = pyplot.subplots(
        len(pairs), _COLUMNS, figsize=(11, 0.4 + sum(heights)), height_ratios=places, squeeze=False
    )
    for axis in grid.flat:
        axis.set_axis_off()
    for axes, pair, count in zip(grid, pairs, places, strict=True):
        for axis, panel in zip(axes, pair, strict=False):
            axis.set_axis_on()
            _draw_panel(axis, panel, count)
    figure.text(0.01, 0.995, _headline(report), va="top", color=_INK, fontsize=10)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.32 / figure.get_figheight()), h_pad=1.6, w_pad=2.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the version of the program that drew it, equal figures make equal files.
    figure.savefig(path, dpi=130, facecolor="white", metadata={"Software": None})
    pyplot.close(figure)
    return True


def _headline(report: Report) -> str:
    scaled = "" if report.scale == 1 else f"; data scaled by {report.scale:g}"
    return (
        f"Seconds, median of {report.rounds} rounds, shorter is better; "
        f"{report.machine['processors']}, {report.machine['memory']}{scaled}"
    )


def _draw_panel(axis: Any, panel: Panel, count: int) -> None:
    """One panel with room for `count` bars, so that neighbours have equally thick ones."""
    bars = panel.bars
    places = range(len(bars))
    axis.barh(
        places,
        [bar.median_s for bar in bars],
        color=[_ACCENT if bar.is_ours else _OTHERS for bar in bars],
        xerr=[[bar.median_s - bar.least_s for bar in bars], [bar.most_s - bar.median_s for bar in bars]],
        error_kw={"ecolor": _INK, "elinewidth": 0.8},
        height=0.7,
    )
    axis.set_yticks(places, [bar.program for bar in bars], color=_INK)
    axis.set_ylim(count - 0.4, -0.6)
    reach = max(bar.most_s for bar in bars)
    axis.set_xlim(0, reach * 1.12)
    for place, bar in zip(places, bars, strict=True):
        weight = "bold" if bar.is_ours else "normal"
        axis.text(
            bar.most_s + reach * 0.015, place, f"{bar.median_s:.2f}", va="center", fontsize=9, weight=weight
        )
        axis.get_yticklabels()[place].set_fontweight(weight)
    axis.set_title(panel.title, loc="left", fontsize=11, weight="bold", color=_INK)
    axis.grid(axis="x", color=_GRID)
    axis.set_axisbelow(True)
    axis.tick_params(length=0, labelsize=9)
    for side in axis.spines.values():
        side.set_visible(False)
