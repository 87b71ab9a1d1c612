"""A file's times and rights as user metadata of an object, in the words other tools read.

`mtime` is rclone's: seconds since the epoch in decimal, with up to nine digits of fraction, negative before
1970. `file-permissions`, `file-owner` and `file-group` are those of AWS DataSync and FSx for Lustre: the mode
in octal with a leading 0, and numeric ids.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

MTIME = "mtime"
PERMISSIONS = "file-permissions"
OWNER = "file-owner"
GROUP = "file-group"

_DECIMAL = re.compile(r"(-?)(\d{1,18})(?:\.(\d{1,30}))?", re.ASCII)
_OCTAL = re.compile(r"0*[0-7]{1,7}", re.ASCII)
_BILLION = 1_000_000_000


def format_mtime(mtime_ns: int) -> str:
    """Nanoseconds since the epoch as rclone's decimal seconds, exactly."""
    seconds, fraction = divmod(abs(mtime_ns), _BILLION)
    sign = "-" if mtime_ns < 0 else ""
    digits = f"{fraction:09}".rstrip("0")
    return f"{sign}{seconds}.{digits}" if digits else f"{sign}{seconds}"


def parse_mtime(text: str) -> int | None:
    """Nanoseconds since the epoch, digits below them cut off; None where the text is no such time."""
    match = _DECIMAL.fullmatch(text)
    if not match:
        return None
    sign, seconds, fraction = match.groups()
    total = int(seconds) * _BILLION + int((fraction or "")[:9].ljust(9, "0"))
    return -total if sign else total


def file_metadata(
    *, mtime_ns: int, mode: int | None = None, uid: int | None = None, gid: int | None = None
) -> dict[str, str]:
    """User metadata that tells a file's time and rights; what is None is left out.

    Args:
        mtime_ns: nanoseconds since the epoch.
        mode: as in `st_mode`, with or without the bits of the file's type.
        uid: numeric owner.
        gid: numeric group.
    """
    told = {MTIME: format_mtime(mtime_ns)}
    if mode is not None:
        told[PERMISSIONS] = f"0{mode:o}"
    if uid is not None:
        told[OWNER] = str(uid)
    if gid is not None:
        told[GROUP] = str(gid)
    return told


def parse_permissions(user: Mapping[str, str]) -> int | None:
    """The mode bits (without the file's type) that user metadata tells, or None."""
    text = user.get(PERMISSIONS, "")
    return int(text, 8) & 0o7777 if _OCTAL.fullmatch(text) else None
