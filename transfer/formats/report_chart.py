"""A small chart of progress over time, as inline SVG. Pure.

Bytes that arrived at the store, or objects where no object has any bytes; nothing where there are fewer than
two moments. Colours and type come from the page's style, by class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from transfer.core.samples import Sample
from transfer.core.sizes import format_duration, format_size
from transfer.formats.markup import Markup, element, join

_WIDTH: Final = 680
_HEIGHT: Final = 164
_LEFT: Final = 52
_RIGHT: Final = 12
_TOP: Final = 28
_BOTTOM: Final = 36
_MOST_SAMPLES: Final = 1000

_SIZE_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")
_TIME_UNITS: Final = ((86_400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))
# Steps that people count time in, within each unit.
_TIME_STEPS: Final = {"days": (1, 2, 5, 10, 20, 50, 100), "hours": (1, 2, 3, 6, 12)}
_TIME_STEPS_OF_60: Final = (1, 2, 5, 10, 15, 30)
_MOST_TIME_TICKS: Final = 8
_MOST_SIZE_TICKS: Final = 3


def progress_chart(samples: Sequence[Sample]) -> Markup | None:
    """The chart of a series; None where there is nothing to draw.

    Args:
        samples: oldest first, by times that do not go back.
    """
    samples = samples[:_MOST_SAMPLES]
    if len(samples) < 2 or samples[-1].elapsed_s <= 0:
        return None
    of_bytes = max(sample.bytes for sample in samples) > 0
    points = [(sample.elapsed_s, sample.bytes if of_bytes else sample.objects) for sample in samples]
    most = max(value for _, value in points)
    if most <= 0:
        return None
    scale, unit = _size_unit(most) if of_bytes else (1, "objects")
    return _drawn(points, most, scale, unit)


def _drawn(points: list[tuple[float, int]], most: int, scale: int, unit: str) -> Markup:
    end_s = points[-1][0]
    step = _nice(most / scale / _MOST_SIZE_TICKS, whole=scale == 1)
    top = max(1, math.ceil(most / scale / step)) * step
    right, low = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def x(time_s: float) -> float:
        return _LEFT + time_s / end_s * (right - _LEFT)

    def y(value: float) -> float:
        return low - value / scale / top * (low - _TOP)

    line = " ".join(f"{x(time_s):.1f},{y(value):.1f}" for time_s, value in points)
    area = f"{x(points[0][0]):.1f},{low} {line} {right},{low}"
    said = format_size(most) if unit != "objects" else f"{most:,} objects"
    what = f"{unit} at the store"
    title = f"{what}, over time: {said} after {format_duration(end_s)}"
    return element(
        "svg",
        element("title", title),
        _levels(step * scale, round(top / step), scale, y),
        _times(end_s, x),
        element("polygon", class_="area", points=area),
        element("polyline", class_="curve", points=line),
        element("circle", class_="end", cx=right, cy=f"{y(points[-1][1]):.1f}", r=3),
        element("text", what, class_="axis", x=0, y=12),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        class_="chart",
    )


def _levels(step: float, ticks: int, scale: int, y: Callable[[float], float]) -> Markup:
    """Lines across, each with its value."""
    return join(
        *(
            join(
                element("line", class_="grid", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=place, y2=place),
                element("text", _number(step * tick / scale), class_="level", x=_LEFT - 8, y=place),
            )
            for tick in range(ticks + 1)
            for place in [f"{y(step * tick):.1f}"]
        )
    )


def _times(end_s: float, x: Callable[[float], float]) -> Markup:
    """Marks along the bottom, and what they count."""
    step, unit_s, unit = _time_step(end_s)
    marks = []
    for tick in range(int(end_s / unit_s / step) + 1):
        place = f"{x(tick * step * unit_s):.1f}"
        low = _HEIGHT - _BOTTOM
        marks.append(element("line", class_="mark", x1=place, x2=place, y1=low, y2=low + 4))
        marks.append(element("text", _number(tick * step), class_="time", x=place, y=low + 15))
    name = f"{unit} since it began"
    return join(*marks, element("text", name, class_="axis at-end", x=_WIDTH - _RIGHT, y=_HEIGHT - 4))


def _size_unit(most: int) -> tuple[int, str]:
    """The unit of 1,024s that a size is told in: its bytes and name."""
    power = min((most.bit_length() - 1) // 10, len(_SIZE_UNITS) - 1)
    return 1024**power, _SIZE_UNITS[power]


def _time_step(end_s: float) -> tuple[float, int, str]:
    """A step for the marks of time, in a unit: its length in seconds and name."""
    unit_s, unit = next((found for found in _TIME_UNITS if end_s >= 2 * found[0]), _TIME_UNITS[-1])
    span = end_s / unit_s
    steps = _TIME_STEPS.get(unit, _TIME_STEPS_OF_60)
    whole = next((step for step in steps if span / step <= _MOST_TIME_TICKS), None)
    if whole is None or span < 2:
        return _nice(span / _MOST_TIME_TICKS), unit_s, unit
    return whole, unit_s, unit


def _nice(least: float, *, whole: bool = False) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
    return max(1.0, step) if whole else step


def _number(value: float) -> str:
    """A tick's number without needless digits."""
    return f"{value:,.6g}" if value < 1e6 else f"{value:,.0f}"
