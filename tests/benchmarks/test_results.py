"""results: medians over rounds, ratios of medians, JSON there and back."""

from __future__ import annotations

import msgspec
import pytest

from tests.benchmarks.making import entry, report
from tests.benchmarks.results import Cost, Entry, Row, Spread, busy_share, decode, encode, ratio, spread


def test_spread_is_median_least_and_most() -> None:
    assert spread(entry("x", "us", 3, 1, 10), "wall_s") == Spread(3, 1, 10)
    assert spread(entry("x", "us", 1, 2), "wall_s") == Spread(1.5, 1, 2)


def test_what_was_not_measured_has_no_spread() -> None:
    missing = Entry("x", "peer", note="missing")
    assert [spread(missing, metric) for metric in ("wall_s", "cpu_s", "peak_mib")] == [None] * 3
    assert spread(entry("x", "us", 1, 2), "cpu_s") is None


def test_peak_is_in_mib() -> None:
    assert spread(entry("x", "us", 1, peak_mib=12), "peak_mib") == Spread(12, 12, 12)


def test_ratio_is_ours_over_theirs_by_medians() -> None:
    row = Row("k", "t", [entry("us", "us", 1, 2, 90, cpu_s=6), entry("it", "peer", 4, 4, 0.1, cpu_s=3)])
    assert ratio(row, row.entries[1], "wall_s") == 0.5
    assert ratio(row, row.entries[1], "cpu_s") == 2


@pytest.mark.parametrize(
    "others",
    [
        [Entry("it", "peer", note="missing")],
        [entry("it", "reference", 1)],
        [entry("it", "peer", 0)],
        [entry("it", "peer", 1), entry("us too", "us", 1)],
    ],
    ids=["missing", "reference", "zero", "two of ours"],
)
def test_there_is_no_ratio_without_two_sides(others: list[Entry]) -> None:
    row = Row("k", "t", [*others, entry("us", "us", 1)])
    assert ratio(row, row.entries[0], "wall_s") is None


def test_we_are_not_compared_with_ourselves() -> None:
    row = Row("k", "t", [entry("us", "us", 1)])
    assert ratio(row, row.entries[0], "wall_s") is None


def test_busy_share_is_processors_not_seconds() -> None:
    costs = [Cost(2, 1, server_cpu_s=1), Cost(4, 1, server_cpu_s=1), Cost(1, 1, server_cpu_s=1)]
    assert busy_share(Entry("x", "us", costs), "server_cpu_s") == 0.5
    assert busy_share(Entry("x", "us", costs), "others_cpu_s") is None


def test_report_is_the_same_after_json() -> None:
    entries = [entry("a", "us", 1.25, cpu_s=2, peak_mib=3), Entry("b", "peer", note="missing")]
    whole = report(Row("k", "t", entries, ["n"]), Row("l", "u", notes=["no room"]))
    assert decode(encode(whole)) == whole


def test_other_json_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(b'{"rows": []}')
