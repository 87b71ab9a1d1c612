"""How fast bytes may flow: --bwlimit in rclone's syntax, and a token bucket that keeps to a rate.

    10M                              both directions, the whole time; a bare number counts KiB/s, as in rclone
    10M:100k                         10 MiB/s up, 100 KiB/s down
    off (or 0)                       no limit; also for one direction, as in "off:1M"
    08:00,512k 19:00,10M 23:00,off   a timetable: from then on, each day
    Mon-00:00,512k Fri-23:59,10M     a timetable of the week

Slots are separated by blanks or ";". Before the first slot of the week the last one holds. Times are those of
the local clock, which the caller reads. "Up" is away from the local files, to a device or store.

Does not: sleep, read a clock, or lock. A bucket that threads share is guarded by them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from transfer.core.sizes import KIB, parse_rate
from transfer.errors import UsageError

Direction = Literal["up", "down"]

MAX_SLOTS: Final = 1000

_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MINUTES_A_DAY: Final = 24 * 60
_TIME: Final = re.compile(r"(?:([A-Za-z]+)-)?([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_REMEDY: Final = "write 10M, 10M:1M (up:down), off, or a timetable such as '08:00,512k Sat-00:00,off'"


@dataclass(frozen=True, slots=True)
class Rates:
    """A limit for each direction in bytes a second; None where there is none."""

    up: int | None
    down: int | None


@dataclass(frozen=True, slots=True)
class BandwidthLimit:
    """What --bwlimit says; slots are sorted, each holds until the next one.

    Attributes:
        starts: the minute of the week, from Monday 00:00, at which each slot starts.
        rates: what each slot allows.
    """

    starts: tuple[int, ...]
    rates: tuple[Rates, ...]

    @classmethod
    def parse(cls, text: str, what: str = "--bwlimit") -> BandwidthLimit:
        """Read a limit.

        Raises:
            UsageError: the text is no bandwidth limit; names the part that is wrong.
        """
        if "," not in text:
            return cls((0,), (_parse_rates(text.strip(), what),))
        slots: dict[int, Rates] = {}
        parts = text.replace(";", " ").split()
        if len(parts) > MAX_SLOTS:
            raise UsageError(
                f"{what}: a timetable of {len(parts):,} slots", remedy=f"use at most {MAX_SLOTS:,}"
            )
        for part in parts:
            time, _, rates = part.partition(",")
            slots.update(dict.fromkeys(_parse_starts(time, what), _parse_rates(rates, what)))
        starts = tuple(sorted(slots))
        return cls(starts, tuple(slots[start] for start in starts))

    @property
    def is_off(self) -> bool:
        """Whether no direction is ever limited."""
        return all(rates == Rates(None, None) for rates in self.rates)

    def rate_at(self, local: datetime, direction: Direction) -> int | None:
        """Bytes a second allowed at the local time; None is without limit."""
        minute = local.weekday() * _MINUTES_A_DAY + local.hour * 60 + local.minute
        # Before the first start the index is -1: the last slot of the week before.
        rates = self.rates[bisect_right(self.starts, minute) - 1]
        return rates.up if direction == "up" else rates.down


def _parse_starts(text: str, what: str) -> list[int]:
    match = _TIME.fullmatch(text)
    if match is None:
        raise UsageError(
            f"{what}: {text[:80]!r} is not a time of the form 08:00 or Mon-08:00", remedy=_REMEDY
        )
    name, hour, minute = match.groups()
    days = (
        list(range(7))
        if name is None
        else [n for n, day in enumerate(_DAYS) if name.lower() in (day, day[:3])]
    )
    if not days:
        raise UsageError(
            f"{what}: {name[:80]!r} is not a day of the week", remedy="days are Mon, Tue, ... Sun"
        )
    return [day * _MINUTES_A_DAY + int(hour) * 60 + int(minute) for day in days]


def _parse_rates(text: str, what: str) -> Rates:
    up, colon, down = text.partition(":")
    up_rate = _parse_limit(up, what)
    return Rates(up_rate, _parse_limit(down, what) if colon else up_rate)


def _parse_limit(text: str, what: str) -> int | None:
    if text.lower() in ("off", "0"):
        return None
    try:
        return parse_rate(text, what=what, bare_unit_bytes=KIB)
    except UsageError as error:
        raise UsageError(error.what, remedy=_REMEDY) from error


class TokenBucket:
    """Keeps a flow of bytes to a rate: what was let through by time t is at most `rate * t + burst`.

    Every writer reserves before it writes and waits as long as told. A reservation larger than the burst
    is granted too, it just waits longer: nobody has to cut a chunk to the size of the bucket.

    Args:
        rate_bytes_s: bytes a second; None lets everything through.
        burst_bytes: what may pass at once after a pause.
        now_s: the caller's monotonic clock.
    """

    __slots__ = ("_burst_bytes", "_rate_bytes_s", "_then_s", "_tokens")

    def __init__(self, rate_bytes_s: float | None, *, burst_bytes: int, now_s: float) -> None:
        self._rate_bytes_s = rate_bytes_s
        self._burst_bytes = burst_bytes
        self._tokens = float(burst_bytes)
        self._then_s = now_s

    def reserve(self, size_bytes: int, now_s: float) -> float:
        """Take `size_bytes` out of the bucket; returns the seconds to wait before they may be written."""
        self._refill(now_s)
        if self._rate_bytes_s is None:
            return 0.0
        self._tokens -= size_bytes
        return max(0.0, -self._tokens / self._rate_bytes_s)

    def set_rate(self, rate_bytes_s: float | None, now_s: float) -> None:
        """Go on at another rate; waits that were already told stand."""
        self._refill(now_s)
        self._rate_bytes_s = rate_bytes_s

    def _refill(self, now_s: float) -> None:
        elapsed_s = max(0.0, now_s - self._then_s)
        self._then_s += elapsed_s
        if self._rate_bytes_s is None:
            self._tokens = float(self._burst_bytes)
        else:
            self._tokens = min(self._burst_bytes, self._tokens + elapsed_s * self._rate_bytes_s)
