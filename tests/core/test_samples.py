"""The series stays within its limit, keeps both ends, invents nothing, and is even."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.core.samples import Sample, SampleSeries

GAPS = st.lists(st.floats(0, 1e6, allow_subnormal=False), max_size=300)


def series(times: list[float], limit: int) -> list[Sample]:
    made = SampleSeries(limit)
    for count, time in enumerate(times):
        made.add(Sample(time, count * 1000, count))
        kept = made.samples()
        assert len(kept) <= limit
        assert kept[0] == Sample(times[0], 0, 0)
        assert kept[-1] == Sample(time, count * 1000, count)
    return made.samples()


@given(gaps=GAPS, limit=st.integers(3, 40))
def test_bounded_both_ends_kept_nothing_invented(gaps: list[float], limit: int) -> None:
    times = list(itertools.accumulate(gaps))
    kept = series(times, limit)
    taken = [Sample(time, count * 1000, count) for count, time in enumerate(times)]
    rest = iter(taken)
    assert all(sample in rest for sample in kept)  # a subsequence: in order, as taken


@given(step_s=st.floats(0.01, 1000), count=st.integers(500, 3000), limit=st.integers(8, 100))
def test_of_a_steady_row_what_is_kept_is_even_and_as_many_as_may_be(
    step_s: float, count: int, limit: int
) -> None:
    kept = series([step_s * number for number in range(count)], limit)
    gaps = [later.elapsed_s - sooner.elapsed_s for sooner, later in itertools.pairwise(kept)]
    span_s = step_s * (count - 1)
    # A step is at least 0.25 s: short rows are kept in fewer samples than there is room for.
    assert len(kept) >= min(limit // 2 - 1, span_s / 0.25)
    # Two neighbours are never further apart than two steps and one gap, and a step is at most 2/limit of all.
    assert max(gaps) <= max(2 * 0.25, 2 * 2 * span_s / (limit - 2)) + step_s


@given(gaps=GAPS, limit=st.integers(3, 40), back=st.floats(0, 1e9))
def test_time_never_goes_back(gaps: list[float], limit: int, back: float) -> None:
    made = SampleSeries(limit)
    for time in [*itertools.accumulate(gaps), -back, 0.0]:
        made.add(Sample(time, 7, 7))
    times = [sample.elapsed_s for sample in made.samples()]
    assert times == sorted(times)


def test_nothing_was_taken() -> None:
    assert SampleSeries().samples() == []


def test_the_list_is_the_callers_own() -> None:
    made = SampleSeries()
    made.add(Sample(0, 0, 0))
    made.samples().clear()
    assert len(made.samples()) == 1


def test_no_series_of_two() -> None:
    with pytest.raises(ValueError, match="2 samples"):
        SampleSeries(2)
