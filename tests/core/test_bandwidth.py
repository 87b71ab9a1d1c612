"""--bwlimit says what rclone's says, and a token bucket never lets more through than it may."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.core.bandwidth import BandwidthLimit, Direction, TokenBucket
from transfer.errors import UsageError

MONDAY = datetime(2024, 1, 1)  # noqa: DTZ001 - local time, as a timetable means it


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return MONDAY + timedelta(days=day, hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("text", "up", "down"),
    [
        ("10M", 10 * 2**20, 10 * 2**20),
        ("512", 512 * 1024, 512 * 1024),
        ("10MB:100k", 10_000_000, 100 * 1024),
        ("off", None, None),
        ("0", None, None),
        ("off:1M", None, 2**20),
        ("1M:OFF", 2**20, None),
    ],
)
def test_a_constant_limit_holds_at_any_time(text: str, up: int | None, down: int | None) -> None:
    limit = BandwidthLimit.parse(text)
    for moment in (at(0, 0), at(6, 23, 59)):
        assert limit.rate_at(moment, "up") == up
        assert limit.rate_at(moment, "down") == down
    assert limit.is_off == (up is None and down is None)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (at(0, 7, 59), None),
        (at(0, 8), 512 * 1024),
        (at(3, 18, 59), 512 * 1024),
        (at(3, 19), 10 * 2**20),
        (at(6, 23), None),
    ],
)
@pytest.mark.parametrize("text", ["08:00,512k 19:00,10M 23:00,off", " 23:00,off;19:00,10M  08:00,512 "])
def test_a_daily_timetable_holds_from_each_time_to_the_next(
    text: str, moment: datetime, expected: int | None
) -> None:
    assert BandwidthLimit.parse(text).rate_at(moment, "up") == expected


@pytest.mark.parametrize(
    ("moment", "direction", "expected"),
    [
        (at(0, 0), "up", 512 * 1024),
        (at(4, 23, 58), "up", 512 * 1024),
        (at(4, 23, 59), "up", 10 * 2**20),
        (at(5, 12), "down", 2**20),
        (at(6, 20), "down", None),
    ],
)
def test_a_weekly_timetable(moment: datetime, direction: Direction, expected: int | None) -> None:
    limit = BandwidthLimit.parse("Mon-00:00,512 Fri-23:59,10M:1M sunday-20:00,off")
    assert limit.rate_at(moment, direction) == expected


def test_before_the_first_slot_of_the_week_the_last_one_holds() -> None:
    limit = BandwidthLimit.parse("Wed-12:00,1M Sat-12:00,2M")
    assert limit.rate_at(at(0, 0), "up") == 2 * 2**20
    assert limit.rate_at(at(2, 12), "up") == 2**20
    assert not limit.is_off


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fast",
        "1M:2M:3M",
        "-1M",
        "8:00,1M",
        "24:00,1M",
        "08:60,1M",
        "Xyz-08:00,1M",
        "08:00,",
        ",1M",
        "08:00,1M 2M",
        "1M 2M",
    ],
)
def test_what_is_no_limit_is_an_error_that_shows_the_forms(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        BandwidthLimit.parse(text)
    assert caught.value.what.startswith("--bwlimit: ")
    assert caught.value.remedy


def test_an_endless_timetable_is_refused() -> None:
    with pytest.raises(UsageError, match="1,001 slots"):
        BandwidthLimit.parse("08:00,1M " * 1001)


@given(
    rate=st.integers(1, 10**9),
    burst=st.integers(0, 10**8),
    steps=st.lists(st.tuples(st.integers(0, 10**8), st.floats(0, 100)), min_size=1, max_size=30),
)
def test_in_no_span_more_passes_than_rate_and_burst_allow(
    rate: int, burst: int, steps: list[tuple[int, float]]
) -> None:
    bucket = TokenBucket(rate, burst_bytes=burst, now_s=1000.0)
    now, released = 1000.0, []
    for size, pause in steps:
        now += pause
        released.append((now + bucket.reserve(size, now), size))
    for first, (start, _) in enumerate([(1000.0, 0), *released]):
        passed = 0
        for end, size in released[first:]:
            passed += size
            allowed = rate * (end - start) + burst
            assert passed <= allowed * (1 + 1e-9) + rate * 1e-9 + 1


@given(rate=st.integers(1, 10**9), sizes=st.lists(st.integers(1, 10**8), min_size=1, max_size=30))
def test_a_busy_flow_is_not_slower_than_its_rate(rate: int, sizes: list[int]) -> None:
    bucket = TokenBucket(rate, burst_bytes=0, now_s=0.0)
    now = 0.0
    for size in sizes:
        now += bucket.reserve(size, now)
    assert now == pytest.approx(sum(sizes) / rate)


def test_the_rate_can_change_and_the_clock_can_stand_still_or_go_back() -> None:
    bucket = TokenBucket(None, burst_bytes=100, now_s=0.0)
    assert bucket.reserve(10**12, 0.0) == 0.0
    bucket.set_rate(100, 0.0)
    assert bucket.reserve(200, 0.0) == 1.0
    assert bucket.reserve(100, 0.0) == 2.0
    assert bucket.reserve(0, -5.0) == 2.0
    bucket.set_rate(200, 1.0)
    assert bucket.reserve(0, 1.0) == 0.5
    bucket.set_rate(None, 1.0)
    assert bucket.reserve(10**12, 1.0) == 0.0
