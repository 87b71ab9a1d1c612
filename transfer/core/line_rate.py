"""RATE of a line: what a network carries, as people are sold it: in bits, or in bytes where they say so.

    100Mbit  100Mbit/s  100Mbps  2.5Gbit   bits a second, powers of 1,000
    12MB/s  12MiB/s  500KB                 bytes a second, as every RATE (`core.sizes`)

Refused: `100M` and `100Mb`, which one person means in bits and the next one in bytes.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from transfer.core.sizes import parse_rate
from transfer.errors import UsageError

LINE_RATE_FORMS: Final = "write bits as 100Mbit or 2.5Gbit, or bytes as 12MB/s"

_BITS: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?) ?([kKMGT]?)(?:[bB]it(?:/s)?|bps)", re.ASCII)
_BYTES: Final = re.compile(r"[0-9.]{1,26} ?[kKMGT]i?B(?:/s)?", re.ASCII)
_PREFIXES: Final = ("", "K", "M", "G", "T")
_MAX_BITS_S: Final = 10**18


def parse_line_rate(text: str, *, what: str = "RATE") -> int:
    """Read the rate of a line.

    Args:
        text: as written by a person.
        what: the option, to be named in an error.

    Returns:
        Bits a second, 8 or more.

    Raises:
        UsageError: the text is none, or could be bits as well as bytes.
    """
    stripped = text.strip()
    if match := _BITS.fullmatch(stripped):
        number, prefix = match.groups()
        bits_s = int(Fraction(number) * 1000 ** _PREFIXES.index(prefix.upper()))
    elif _BYTES.fullmatch(stripped):
        bits_s = 8 * parse_rate(stripped, what=what)
    else:
        raise UsageError(f"{what}: {text[:80]!r} is not the rate of a line", remedy=LINE_RATE_FORMS)
    if not 8 <= bits_s <= _MAX_BITS_S:
        raise UsageError(f"{what}: {text[:80]!r} is no line that there is", remedy=LINE_RATE_FORMS)
    return bits_s


def format_line_rate(bits_s: float) -> str:
    """The rate of a line for people, three digits: "100 Mbit/s", "2.5 Gbit/s"."""
    value, unit = float(bits_s), "bit/s"
    for prefix in ("k", "M", "G", "T"):
        if value < 999.5:
            break
        value, unit = value / 1000, f"{prefix}bit/s"
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    number = f"{value:.{decimals}f}"
    return f"{number.rstrip('0').rstrip('.') if decimals else number} {unit}"
