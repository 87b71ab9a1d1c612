"""Why entries of an import were not sent: the first of them, and counts by reason. Bounded, in memory."""

from __future__ import annotations

import re

from msgspec import Struct

from transfer.formats.report import (
    EXAMPLES_A_REASON,
    MAX_EXAMPLES,
    MAX_REASONS,
    OTHER_REASONS,
    Reason,
    ReportedEntry,
)

# Keys of objects are shorter; what cannot be one may be a path of 65,535 bytes.
_KEY_CHARS = 1024
_REASON_CHARS = 500

# What tells entries apart says nothing about why they were not sent.
_LINK_TARGET = re.compile(r"^symbolic link to .*(?=: a bucket has none)", re.DOTALL)


class _Count(Struct):
    entries: int = 0
    bytes: int = 0
    examples: list[ReportedEntry] = []


class Tally:
    """Counts what is listed in one CSV file."""

    def __init__(self) -> None:
        self.examples: list[ReportedEntry] = []
        self._counts: dict[str, _Count] = {}

    def add(self, bucket: str, key: str, size_bytes: int, error: str) -> None:
        """An entry, and why it was not sent."""
        reason = _cut(_reason(bucket, key, error), _REASON_CHARS)
        if reason not in self._counts and len(self._counts) >= MAX_REASONS:
            reason = OTHER_REASONS
        count = self._counts.setdefault(reason, _Count())
        count.entries += 1
        count.bytes += size_bytes
        for examples, limit in ((self.examples, MAX_EXAMPLES), (count.examples, EXAMPLES_A_REASON)):
            if len(examples) < limit:
                examples.append(ReportedEntry(_cut(key, _KEY_CHARS), size_bytes, _cut(error, _REASON_CHARS)))

    def reasons(self) -> list[Reason]:
        """All reasons, the most frequent first."""
        found = [
            Reason(reason, count.entries, count.bytes, count.examples.copy())
            for reason, count in self._counts.items()
        ]
        return sorted(found, key=lambda reason: -reason.entries)


def _reason(bucket: str, key: str, error: str) -> str:
    """An error without the name of the entry, so that entries with the same trouble count together."""
    error = error.replace(f"s3://{bucket}/{key}", "the object")
    return _LINK_TARGET.sub("symbolic link", error)


def _cut(text: str, limit_chars: int) -> str:
    """A text with its middle left out where it is long: what is wrong often stands at the end."""
    half = limit_chars // 2
    return text if len(text) <= limit_chars else f"{text[:half]} ... {text[-half:]}"
