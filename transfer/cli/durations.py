"""DURATION: a span of time as people write it on the command line: `5s`, `10m`, `12h`, `90d`, `2w`."""

from __future__ import annotations

import re
from typing import Final

from transfer.errors import UsageError

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhdw])", re.ASCII)
_MAX_S: Final = 100 * 366 * 86_400


def parse_duration(text: str, *, what: str) -> float:
    """Read a DURATION in seconds.

    Args:
        text: as written by a person.
        what: the option, to be named in an error.

    Raises:
        UsageError: the text is no duration, or one over a hundred years.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or (seconds := float(match[1]) * _SECONDS[match[2]]) > _MAX_S:
        raise UsageError(
            f"{what}: {text[:80]!r} is not a duration",
            remedy="write a number and s, m, h, d or w: 5s, 12h, 90d",
        )
    return seconds
