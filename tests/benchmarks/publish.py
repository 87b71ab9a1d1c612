"""Puts a report where people read it: its tables between two marks of docs/performance.md, and its chart."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.chart import draw
from tests.benchmarks.results import Report
from tests.benchmarks.table import markdown

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_DOCS = Path(__file__).parents[2] / "docs"
PAGE, CHART = _DOCS / "performance.md", _DOCS / "images" / "benchmark.png"


def publish(report: Report) -> None:
    """Write both; what stands outside of the marks stays as it is."""
    PAGE.write_text(between_marks(PAGE.read_text(), markdown(report)))
    draw(report, CHART)


def between_marks(page: str, content: str) -> str:
    """The page with this content between its marks; ValueError where it has not exactly one pair of them."""
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(f"the page needs {BEGIN} and {END}, each once")
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"the page has {END} before {BEGIN}")
    return f"{before}{BEGIN}\n{content}\n{END}{after}"
