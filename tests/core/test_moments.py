"""Times in documents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.core.moments import moment_text, parse_moment
from transfer.errors import FormatError

# The bounds are without a zone: hypothesis adds it.
moments = st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001
    datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


@pytest.mark.parametrize("text", ["2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z", ""])
def test_a_moment_that_no_calendar_has_is_named(text: str) -> None:
    with pytest.raises(FormatError, match="created in DEVICE"):
        parse_moment(text, "created in DEVICE.json")


@given(moments)
def test_a_moment_is_read_as_it_was_written_to_the_second(moment: datetime) -> None:
    assert parse_moment(moment_text(moment), "x") == moment.replace(microsecond=0)


def test_a_moment_is_written_in_utc() -> None:
    west = timezone(-timedelta(hours=1))
    assert moment_text(datetime(2026, 3, 1, 23, 30, 5, 999_999, tzinfo=UTC)) == "2026-03-01T23:30:05Z"
    assert moment_text(datetime(2026, 3, 1, 23, 30, tzinfo=west)) == "2026-03-02T00:30:00Z"
