"""targets: each names a work and a program that there is, and is judged by ratio or by its own value."""

from __future__ import annotations

import pytest

from tests.benchmarks.bench import WORKS
from tests.benchmarks.making import entry, report
from tests.benchmarks.results import Entry, Row
from tests.benchmarks.targets import B3SUM, COPY, HELP, S5CMD, TARGETS, VERIFY, judge, missed


def test_every_target_names_a_work() -> None:
    assert {target.row for target in TARGETS} <= WORKS.keys()


@pytest.mark.parametrize(("ours", "mark"), [(1.29, "met"), (1.3, "met"), (1.31, "NOT MET")])
def test_a_peer_is_judged_by_the_ratio(ours: float, mark: str) -> None:
    row = Row("verify-small", "t", [entry(VERIFY, "us", ours), entry(B3SUM, "peer", 1)])
    assert [verdict.mark for verdict in judge(row)] == [mark]


@pytest.mark.parametrize(("peak_mib", "mark"), [(400, "met"), (401, "NOT MET")])
def test_ours_is_judged_by_its_own_value(peak_mib: float, mark: str) -> None:
    verdicts = judge(Row("memory", "t", [entry(COPY, "us", 9, peak_mib=peak_mib)]))
    assert [verdict.mark for verdict in verdicts] == [mark, "not measured", "not measured"]


def test_wall_and_processor_time_are_judged_apart() -> None:
    entries = [entry("transfer import", "us", 1, cpu_s=9), entry(S5CMD, "peer", 2, cpu_s=9)]
    verdicts = judge(Row("import-large", "t", entries))
    assert [(verdict.value, verdict.mark) for verdict in verdicts] == [(0.5, "met"), (1, "NOT MET")]


def test_a_missing_peer_gives_no_verdict() -> None:
    row = Row("verify-small", "t", [entry(VERIFY, "us", 1), Entry(B3SUM, "peer", note="missing")])
    (verdict,) = judge(row)
    assert (verdict.value, verdict.mark, verdict.is_missed) == (None, "not measured", False)


def test_missed_are_those_measured_above_their_limit() -> None:
    slow = Row("startup", "t", [entry(HELP, "us", 0.3)])
    assert [verdict.target.program for verdict in missed(report(slow))] == [HELP]
    assert missed(report(Row("startup", "t", [entry(HELP, "us", 0.2)]))) == []
