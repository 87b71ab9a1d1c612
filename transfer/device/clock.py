"""The time, as the documents of a device write it."""

from __future__ import annotations

from datetime import UTC, datetime

from transfer.core.moments import moment_text


def timestamp() -> str:
    """Now, RFC 3339 in UTC, whole seconds."""
    return moment_text(datetime.now(UTC))
