"""The way of a device from its site to a dock: which states it goes through, and when.

    - The states are a line; `NEXT` is the table of what may follow what, and `follow` allows nothing else.
    - Simulated times are those that the papers of a real carrier would show. At both ends the simulated clock
      runs as the real one does; only the way itself is compressed, to `day_length_s` a day.
    - Names of states follow the job states of AWS Snowball where it has one of the kind (`SNOWBALL`).

Does not: read a clock. Every moment comes in as an argument, with a time zone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from transfer.errors import FormatError

MAX_DAYS: Final = 3650
"""No carrier takes ten years; keeps dates within the calendar."""

State = Literal["prepared", "with-customer", "in-transit", "delivered", "docked"]
Moment = Annotated[datetime, Meta(tz=True)]
Days = Annotated[int, Meta(ge=0, le=MAX_DAYS)]

NEXT: Final[Mapping[State | None, State | None]] = MappingProxyType(
    {
        None: "prepared",
        "prepared": "with-customer",
        "with-customer": "in-transit",
        "in-transit": "delivered",
        "delivered": "docked",
        "docked": None,
    }
)
"""What follows each state; None before the first and behind the last."""

SNOWBALL: Final[Mapping[State, str]] = MappingProxyType(
    {
        "prepared": "PreparingAppliance",
        "with-customer": "WithCustomer",
        "in-transit": "InTransitToAWS",
        "delivered": "WithAWSSortingFacility",
        "docked": "WithAWS",
    }
)
"""Each state's counterpart among the JobState values of the AWS Snowball API.

Its New, PreparingShipment and InTransitToCustomer have none here: nobody sends an empty device, it is made
where it is filled. InProgress and Complete are those of an import, Listing of an export.
"""


class Event(Struct, frozen=True, forbid_unknown_fields=True):
    """A device came into a state.

    Attributes:
        state: the state.
        simulated: when, by the papers of the carrier.
        real: when, by the clock of the host.
    """

    state: State
    simulated: Moment
    real: Moment


class Route(Struct, frozen=True, forbid_unknown_fields=True):
    """How long the device is on its way.

    Attributes:
        carrier_days: what the carrier takes, in days.
        delay_days: what is added to it on request.
        day_length_s: how long a simulated day really takes; 0: nobody waits.
    """

    carrier_days: Days
    delay_days: Days = 0
    day_length_s: Annotated[float, Meta(ge=0, le=86_400)] = 0.0

    @property
    def days(self) -> int:
        """Days on the way, delays included."""
        return self.carrier_days + self.delay_days

    def due(self, handed_over: datetime) -> datetime:
        """The simulated moment of delivery."""
        return handed_over + timedelta(days=self.days)

    def days_passed(self, handed_over: datetime, now: datetime) -> float:
        """Simulated days since the real moment of handing over, at most all of them."""
        if not self.day_length_s:
            return float(self.days)
        # A clock that was set back has not made the way longer.
        elapsed_s = max(0.0, (now - handed_over).total_seconds())
        return min(float(self.days), elapsed_s / self.day_length_s)

    def remaining_s(self, handed_over: datetime, now: datetime) -> float:
        """Real seconds until delivery, for a device that was really handed over at `handed_over`."""
        return (self.days - self.days_passed(handed_over, now)) * self.day_length_s


def follow(events: Sequence[Event], event: Event) -> tuple[Event, ...]:
    """The events with one more behind them.

    Raises:
        ValueError: the table has another state there; a fault of the caller.
    """
    last = events[-1].state if events else None
    if NEXT[last] != event.state:
        raise ValueError(f"no device goes from {last} to {event.state}")
    return (*events, event)


def check_events(events: Sequence[Event]) -> None:
    """Raise FormatError unless the events, read from a record, follow the table and are in UTC."""
    last: State | None = None
    for event in events:
        if NEXT[last] != event.state:
            raise FormatError(f"state {event.state} cannot follow {last or 'the beginning'}")
        if event.real.utcoffset() or event.simulated.utcoffset():
            raise FormatError(f"a time of state {event.state} is not in UTC")
        last = event.state


def docked_at(delivered: Event, now: datetime) -> datetime:
    """The simulated moment that is really `now`, for a device that was delivered."""
    return delivered.simulated + max(timedelta(), now - delivered.real)
