"""The time, as the documents of a device write it."""

from __future__ import annotations

from datetime import UTC, datetime


def timestamp() -> str:
    """Now, RFC 3339 in UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
