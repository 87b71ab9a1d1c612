"""The chart shows each sample in its place, with axes that say what they count."""

from __future__ import annotations

import itertools
import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.core.samples import Sample
from transfer.formats.report_chart import progress_chart

STEPS = st.lists(
    st.tuples(st.floats(0.001, 1e7), st.integers(0, 2**50), st.integers(0, 10**9)), min_size=1, max_size=240
)


def drawn(samples: list[Sample]) -> ElementTree.Element:
    chart = progress_chart(samples)
    assert chart is not None
    return ElementTree.fromstring(chart.html)


def points(chart: ElementTree.Element) -> list[tuple[float, float]]:
    (line,) = chart.iter("polyline")
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.attrib["points"].split())]


def texts(chart: ElementTree.Element, class_: str) -> list[str]:
    return [text.text or "" for text in chart.iter("text") if text.attrib["class"] == class_]


@given(start=st.integers(0, 2**50), steps=STEPS)
def test_every_series_fits(start: int, steps: list[tuple[float, int, int]]) -> None:
    times = itertools.accumulate((step[0] for step in steps), initial=0.0)
    sizes = itertools.accumulate((step[1] for step in steps), initial=start)
    counts = itertools.accumulate((step[2] for step in steps), initial=0)
    samples = [Sample(*told) for told in zip(times, sizes, counts, strict=True)]
    if not samples[-1].bytes and not samples[-1].objects:
        assert progress_chart(samples) is None
        return
    chart = drawn(samples)
    _, _, width, height = map(float, chart.attrib["viewBox"].split())
    line = points(chart)
    assert len(line) == len(samples)
    assert all(0 <= x <= width and 0 <= y <= height for x, y in line)
    assert all(x <= later_x and y >= later_y for (x, y), (later_x, later_y) in itertools.pairwise(line))
    assert 2 <= len(texts(chart, "level")) <= 7
    assert 1 <= len(texts(chart, "time")) <= 12
    assert len(set(texts(chart, "level"))) == len(texts(chart, "level"))
    assert len(set(texts(chart, "time"))) == len(texts(chart, "time"))


@pytest.mark.parametrize(
    ("end_s", "unit", "ticks"),
    [
        (0.4, "seconds", ["0", "0.05", "0.1", "0.15", "0.2", "0.25", "0.3", "0.35", "0.4"]),
        (30, "seconds", ["0", "5", "10", "15", "20", "25", "30"]),
        (600, "minutes", ["0", "2", "4", "6", "8", "10"]),
        (4 * 3600, "hours", ["0", "1", "2", "3", "4"]),
        (40 * 3600, "hours", ["0", "6", "12", "18", "24", "30", "36"]),
        (6 * 86400, "days", ["0", "1", "2", "3", "4", "5", "6"]),
    ],
)
def test_time_is_told_in_units_of_people(end_s: float, unit: str, ticks: list[str]) -> None:
    chart = drawn([Sample(0, 0, 0), Sample(end_s, 10, 1)])
    assert texts(chart, "axis at-end") == [f"{unit} since it began"]
    assert texts(chart, "time") == ticks


@pytest.mark.parametrize(
    ("most", "unit", "ticks"),
    [
        (3, "bytes", ["0", "1", "2", "3"]),
        (1536, "KiB", ["0", "0.5", "1", "1.5"]),
        (205 << 30, "GiB", ["0", "100", "200", "300"]),
        (1 << 60, "PiB", ["0", "500", "1,000", "1,500"]),
    ],
)
def test_sizes_are_told_in_one_unit(most: int, unit: str, ticks: list[str]) -> None:
    chart = drawn([Sample(0, 0, 0), Sample(1, most, 1)])
    assert texts(chart, "axis") == [f"{unit} at the store"]
    assert texts(chart, "level") == ticks


def test_a_sample_stands_where_its_axes_say() -> None:
    chart = drawn([Sample(0, 0, 0), Sample(50, 1 << 29, 1), Sample(100, 2 << 30, 2)])
    grid = {text: float(y) for text, y in zip(texts(chart, "level"), levels(chart), strict=True)}
    (_, start), (_, half), (_, end) = points(chart)
    assert math.isclose(start, grid["0"], abs_tol=0.1)
    assert math.isclose(half, (grid["0"] + (grid["1"] - grid["0"]) / 2), abs_tol=0.1)
    assert math.isclose(end, grid["2"], abs_tol=0.1)
    assert 20 < end < 40  # the highest level is at the top, below the name of the axis


def levels(chart: ElementTree.Element) -> list[str]:
    return [line.attrib["y1"] for line in chart.iter("line") if line.attrib["class"] == "grid"]


def test_objects_without_bytes_are_counted() -> None:
    chart = drawn([Sample(0, 0, 0), Sample(10, 0, 7)])
    assert texts(chart, "axis") == ["objects at the store"]
    assert re.search(r"7 objects after 10 s", chart.findtext("title") or "")


@pytest.mark.parametrize(
    "samples", [[], [Sample(0, 1, 1)], [Sample(0, 1, 1)] * 2, [Sample(0, 0, 0), Sample(9, 0, 0)]]
)
def test_nothing_to_draw(samples: list[Sample]) -> None:
    assert progress_chart(samples) is None
