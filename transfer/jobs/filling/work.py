"""Work, as the engine sees it: large entries, each by itself, and small ones that are read together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LargeEntry:
    """A file or object that goes by chunks; a source's own class adds what it needs.

    Attributes:
        size_bytes: what is to be stored of it (holes need no room); 0: it is tried without asking for room.
        known_reason: why it failed before: the same failure is reported but not recorded again.
    """

    path: bytes
    size_bytes: int = 0
    known_reason: str = ""


@dataclass(frozen=True, slots=True)
class Together(LargeEntry):
    """No entry, but a wish: what comes next, up to `size_bytes` of a device, is to be on one device. Where it
    is more than any device holds, it is begun all the same."""


class SmallWork(Protocol):
    """Small entries in path order that are read together."""

    orders: int
    content_bytes: int


Work = SmallWork | LargeEntry


@dataclass
class Counts:
    """What a pass has found so far; grows while it goes on."""

    entries: int = 0
    files: int = 0
    bytes: int = 0
    unchanged: int = 0
    is_complete: bool = False
