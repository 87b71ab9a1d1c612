"""Where a mapping remembers what need not be in memory."""

from __future__ import annotations

from typing import Protocol


class Table(Protocol):
    """Bytes to text; device/path_table.py has one on temporary disk."""

    def get(self, path: bytes, /) -> str | None:
        """The value of a row."""

    def put(self, path: bytes, value: str, /) -> None:
        """Note or replace the value of a row."""
