"""Numbers of a job's devices, for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice

_MAX_SHOWN = 20


def told_devices(ordinals: Sequence[int], *, later: bool) -> str:
    """Devices by their numbers: "device 2, and perhaps later ones", "devices 1, 3 to 5".

    Args:
        ordinals: ascending, one at least.
        later: whether there may be devices behind the last of them that nothing at hand tells of.
    """
    shown = list(islice(ranges(ordinals), _MAX_SHOWN + 1))
    more = ", and more" if len(shown) > _MAX_SHOWN else ""
    told = f"device{'s' if len(ordinals) > 1 else ''} {', '.join(shown[:_MAX_SHOWN])}{more}"
    return f"{told}, and perhaps later ones" if later else told


def may_go_on(missing: Sequence[int], present: Iterable[int]) -> bool:
    """Whether there may be devices that nothing tells of: the last one that is known of is not there, so that
    nobody knows whether others come behind it."""
    return bool(missing) and missing[-1] > max(present, default=0)


def ranges(numbers: Iterable[int]) -> Iterator[str]:
    """Ascending numbers, those in a row as one: "1", "3 to 5"."""
    for _, row in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in row]
        yield f"{members[0]}" if len(members) == 1 else f"{members[0]} to {members[-1]}"
