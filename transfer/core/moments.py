"""Times as the documents of the product write them: RFC 3339 in UTC, whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime

from transfer.errors import FormatError


def moment_text(moment: datetime) -> str:
    """A moment, which has a time zone, in writing."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_moment(text: str, what: str) -> datetime:
    """A time of a device's documents.

    Raises:
        FormatError: the calendar has no such moment; `what` names the field.
    """
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise FormatError(f"{what}: {text!r} is not a moment of the calendar") from None
