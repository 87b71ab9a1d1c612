"""SIZE and RATE: amounts as people write them on the command line and in profiles, and as they read them.

Written amounts follow rclone, so that a habit from there means the same here:

    K, M, G, T, P and KiB, MiB, ...   powers of 1,024
    KB, MB, GB, TB, PB                powers of 1,000, as disks and networks are sold
    B                                 bytes
    no suffix                         bytes, unless the option says otherwise (rclone's own ones count in KiB)

Case does not matter, a fraction is allowed ("1.5G") and what is below one byte is dropped. A RATE is a SIZE
with an optional "/s". Amounts are exact integers: no float is involved on the way in.

Does not: parse "off", "none" or "all". Such words belong to the option that knows them.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from transfer.errors import UsageError

KIB: Final = 1024
MIB: Final = 1024**2
GIB: Final = 1024**3

# Sizes are kept in signed 64-bit fields (pax, zstd, S3), nothing larger can be meant.
MAX_SIZE_BYTES: Final = 2**63 - 1

SIZE_FORMS: Final = "write a number and a suffix: 512B, 8MiB or 8M (1,024s), 10GB (1,000s), 1.5T"
RATE_FORMS: Final = "write bytes a second as a size: 10M, 200MB/s, 1.5GiB/s"

_PREFIXES: Final = "KMGTP"
# 40 digits are enough for any size, and keep hostile input from building huge integers.
_SIZE: Final = re.compile(
    r"([0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40}) ?([KMGTP]?)(iB|B|)", re.ASCII | re.IGNORECASE
)


def parse_size(text: str, *, what: str = "SIZE", bare_unit_bytes: int = 1) -> int:
    """Read a SIZE.

    Args:
        text: as written by a person.
        what: the option or field, to be named in an error.
        bare_unit_bytes: what a number without a suffix counts; rclone's own options count in KiB.

    Returns:
        The size in bytes, 0 to 2**63 - 1.

    Raises:
        UsageError: the text is no SIZE.
    """
    size = _read_size(text.strip(), bare_unit_bytes)
    if size is None:
        raise UsageError(f"{what}: {text[:80]!r} is not a size", remedy=SIZE_FORMS)
    if size > MAX_SIZE_BYTES:
        raise UsageError(f"{what}: {text[:80]!r} is too large", remedy="the limit is 8 EiB less one byte")
    return size


def parse_rate(text: str, *, what: str = "RATE", bare_unit_bytes: int = 1) -> int:
    """Read a RATE in bytes a second; arguments and errors as for `parse_size`, and 0 is no rate."""
    size = _read_size(text.strip().removesuffix("/s"), bare_unit_bytes)
    if size is None or not 0 < size <= MAX_SIZE_BYTES:
        raise UsageError(f"{what}: {text[:80]!r} is not a rate", remedy=RATE_FORMS)
    return size


def _read_size(text: str, bare_unit_bytes: int) -> int | None:
    match = _SIZE.fullmatch(text)
    if match is None:
        return None
    number, prefix, unit = match.groups()
    if not prefix and unit.upper() == "IB":
        return None
    base = 1000 if unit.upper() == "B" else 1024
    power = _PREFIXES.index(prefix.upper()) + 1 if prefix else 0
    factor = base**power if prefix or unit else bare_unit_bytes
    # Fraction refuses "1." and ".5" on one side or the other: give it both digits.
    return int(Fraction(f"0{number}0" if "." in number else number) * factor)


def format_size(size_bytes: float) -> str:
    """A size for people, three digits: "0 B", "512 B", "1.46 GiB", "146 GiB"."""
    value, unit = float(size_bytes), "B"
    for prefix in _PREFIXES:
        # 999.5 would be shown as 1000, four digits: go on to the next unit.
        if value < 999.5:
            break
        value, unit = value / 1024, f"{prefix}iB"
    if unit == "B":
        return f"{value:.0f} B"
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{decimals}f} {unit}"


def format_size_exact(size_bytes: int) -> str:
    """The shortest SIZE that `parse_size` reads back as the same number: "80TB", "8MiB", "4294967295B"."""
    if size_bytes == 0:
        return "0B"
    forms = [f"{size_bytes}B"]
    for power, prefix in enumerate(_PREFIXES, start=1):
        for base, unit in ((1024, "iB"), (1000, "B")):
            count, rest = divmod(size_bytes, base**power)
            if rest == 0:
                forms.append(f"{count}{prefix}{unit}")
    # Digits decide, not characters: 8MiB is plainer than 8192KiB and than 8388608B.
    return min(forms, key=lambda form: (sum(map(str.isdigit, form)), len(form)))


def format_rate(rate_bytes_s: float) -> str:
    """A rate for people: "210 MiB/s"."""
    return f"{format_size(rate_bytes_s)}/s"


def format_duration(duration_s: float) -> str:
    """A duration for people, at most two units: "45 s", "3 min 20 s", "2 h 05 min", "3 d 4 h"."""
    seconds = max(0, round(duration_s))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"
