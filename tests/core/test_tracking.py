"""The states of a device on its way, and the times of the way."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, timezone
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.core.tracking import (
    MAX_DAYS,
    NEXT,
    SNOWBALL,
    Event,
    Route,
    State,
    check_events,
    docked_at,
    follow,
)
from transfer.errors import FormatError

STATES = get_args(State)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

# The bounds are without a zone: hypothesis adds it.
moments = st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001
    datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
days = st.integers(0, MAX_DAYS)
routes = st.builds(Route, days, days, st.floats(0, 86_400))


def events(*states: State) -> list[Event]:
    return [Event(state, NOW, NOW) for state in states]


def test_the_table_leads_through_every_state_once_and_ends() -> None:
    way: list[State] = []
    state = NEXT[None]
    while state is not None:
        way.append(state)
        state = NEXT[state]
    assert way == list(STATES)
    assert list(SNOWBALL) == list(STATES)
    # https://docs.aws.amazon.com/snowball/latest/api-reference/API_JobListEntry.html, JobState, in its order
    listed = ["PreparingAppliance", "WithCustomer", "InTransitToAWS", "WithAWSSortingFacility", "WithAWS"]
    assert list(SNOWBALL.values()) == listed


@pytest.mark.parametrize("length", range(4))
def test_follow_and_check_allow_the_same_and_nothing_but_the_table(length: int) -> None:
    for states in itertools.product(STATES, repeat=length):
        right = states == STATES[:length]
        row: tuple[Event, ...] = ()
        try:
            for event in events(*states):
                row = follow(row, event)
        except ValueError:
            assert not right
        else:
            assert right
        if right:
            check_events(events(*states))
        else:
            with pytest.raises(FormatError):
                check_events(events(*states))


def test_times_of_a_record_are_in_utc() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=1)))
    for event in (Event("prepared", elsewhere, NOW), Event("prepared", NOW, elsewhere)):
        with pytest.raises(FormatError, match="prepared is not in UTC"):
            check_events([event])


@given(routes, moments)
def test_delivery_is_so_many_days_after_handing_over(route: Route, handed_over: datetime) -> None:
    assert (route.due(handed_over) - handed_over).days == route.carrier_days + route.delay_days


@given(routes, moments, st.floats(-1e6, 1e9))
def test_what_passed_and_what_remains_make_up_the_way(
    route: Route, start: datetime, elapsed_s: float
) -> None:
    now = start + timedelta(seconds=elapsed_s)
    passed, remaining_s = route.days_passed(start, now), route.remaining_s(start, now)
    assert 0 <= passed <= route.days
    assert 0 <= remaining_s <= route.days * route.day_length_s
    assert passed * route.day_length_s + remaining_s == pytest.approx(route.days * route.day_length_s)
    later = now + timedelta(hours=1)
    assert route.remaining_s(start, later) <= remaining_s


@given(routes, moments)
def test_waiting_what_remains_is_enough(route: Route, start: datetime) -> None:
    now = start + timedelta(seconds=route.remaining_s(start, start))
    assert route.remaining_s(start, now) == pytest.approx(0, abs=0.01)


def test_nobody_waits_for_days_without_length() -> None:
    assert Route(14).remaining_s(NOW, NOW) == 0
    assert Route(14).days_passed(NOW, NOW) == 14


@given(moments, moments, st.timedeltas(timedelta(), timedelta(days=9)))
def test_at_the_dock_the_simulated_clock_runs_as_the_real_one(
    simulated: datetime, real: datetime, since: timedelta
) -> None:
    delivered = Event("delivered", simulated, real)
    assert docked_at(delivered, real + since) == simulated + since
    assert docked_at(delivered, real - since) == simulated
