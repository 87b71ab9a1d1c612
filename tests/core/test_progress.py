"""Estimates are honest: none where there is none, a bound where the total grows, exact at a steady pace."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.core.progress import Estimate, Progress, ProgressEstimator

START = Progress("copy", files_total=100, bytes_total=1000)


def after(estimator: ProgressEstimator, *samples: tuple[float, Progress]) -> Estimate:
    estimates = [estimator.observe(now, progress) for now, progress in samples]
    return estimates[-1]


def done(files: int, size: int) -> Progress:
    return replace(START, files_done=files, bytes_done=size)


@given(
    rate=st.integers(1, 10**9),
    start=st.integers(0, 10**6),
    steps=st.integers(2, 200),
    pause=st.integers(1, 100),
)
def test_at_a_steady_pace_the_estimate_is_exact(rate: int, start: int, steps: int, pause: int) -> None:
    estimator = ProgressEstimator(window_s=30)
    total = rate * pause * 400
    for step in range(steps):
        progress = Progress("copy", bytes_done=rate * pause * step, files_done=step, bytes_total=total)
        estimate = estimator.observe(start + pause * step, progress)
    assert estimate.bytes_s == pytest.approx(rate, rel=1e-6)
    assert estimate.remaining_s == pytest.approx(pause * (400 - steps + 1), rel=1e-6)
    assert not estimate.is_lower_bound


def test_nothing_is_said_before_there_is_anything_to_say() -> None:
    assert after(ProgressEstimator(), (0.0, done(0, 0))) == Estimate()
    assert after(ProgressEstimator(), (0.0, done(0, 0)), (0.5, done(1, 100))) == Estimate()


def test_a_stall_longer_than_the_window_has_no_estimate() -> None:
    estimate = after(ProgressEstimator(10), *((float(t), done(50, 500)) for t in range(0, 30, 2)))
    assert (estimate.bytes_s, estimate.remaining_s) == (0.0, None)


def test_a_slow_start_is_forgotten() -> None:
    samples = [(float(t), done(0, 0)) for t in range(100)] + [(100.0 + t, done(t, 10 * t)) for t in range(40)]
    assert after(ProgressEstimator(10), *samples).bytes_s == pytest.approx(10)


def test_an_unknown_total_has_no_remaining_time() -> None:
    unknown = replace(START, files_total=None, bytes_total=None)
    estimate = after(ProgressEstimator(), (0.0, unknown), (2.0, replace(unknown, bytes_done=10)))
    assert (estimate.bytes_s, estimate.remaining_s) == (5.0, None)


def test_a_growing_total_gives_a_lower_bound() -> None:
    walking = replace(done(10, 100), is_total_final=False)
    estimate = after(ProgressEstimator(), (0.0, replace(START, is_total_final=False)), (10.0, walking))
    assert (estimate.remaining_s, estimate.is_lower_bound) == (90.0, True)
    assert walking.fraction is None


def test_many_small_files_at_the_end_are_counted_by_the_file() -> None:
    # Nearly all bytes are done, half of the files are left: the files decide.
    assert after(ProgressEstimator(), (0.0, done(0, 0)), (10.0, done(50, 990))).remaining_s == pytest.approx(
        10
    )


def test_one_large_file_is_counted_by_the_byte() -> None:
    assert after(ProgressEstimator(), (0.0, done(0, 0)), (10.0, done(0, 500))).remaining_s == pytest.approx(
        10
    )


def test_a_new_phase_or_a_falling_count_starts_anew() -> None:
    for later in (replace(done(100, 1000), phase="verify"), done(99, 1000), done(100, 999)):
        estimator = ProgressEstimator()
        assert after(estimator, (0.0, done(0, 0)), (10.0, done(100, 1000))).remaining_s == 0.0
        assert estimator.observe(11.0, later) == Estimate()


def test_many_reports_keep_few_samples() -> None:
    estimator = ProgressEstimator(window_s=30)
    for step in range(100_000):
        estimate = estimator.observe(step / 1000, Progress("copy", bytes_done=step))
    assert estimate.bytes_s == pytest.approx(1000, rel=0.01)
    assert len(estimator._samples) < 70


@given(
    st.lists(st.tuples(st.floats(0, 100), st.integers(0, 10), st.integers(0, 10**9)), min_size=1, max_size=50)
)
def test_no_estimate_is_negative(steps: list[tuple[float, int, int]]) -> None:
    estimator = ProgressEstimator()
    now, progress = 0.0, replace(START, files_total=200, bytes_total=10**10)
    for pause, files, size in steps:
        now += pause
        progress = replace(
            progress, files_done=progress.files_done + files, bytes_done=progress.bytes_done + size
        )
        estimate = estimator.observe(now, progress)
        assert all(
            value is None or value >= 0
            for value in (estimate.bytes_s, estimate.files_s, estimate.remaining_s)
        )


def test_ratio_and_fraction() -> None:
    assert Progress("copy", bytes_done=30, stored_bytes=10).ratio == 3.0
    assert Progress("copy", bytes_done=30).ratio is None
    assert done(1, 250).fraction == 0.25
    assert Progress("copy", files_done=1, files_total=4, bytes_total=0).fraction == 0.25
    assert Progress("copy").fraction is None
    assert Progress("copy", bytes_done=11, bytes_total=10).fraction == 1.0  # a file grew meanwhile
