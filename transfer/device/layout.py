"""Where things lie on a device (FORMAT.md §4): names, and nothing but names."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

DEVICE_NAME = "DEVICE.json"
SEAL_NAME = "SEAL.json"
RECOVERY_NAME = "RECOVERY.txt"
SCRIPT_NAME = "recover.sh"
LOCK_NAME = "LOCK"
RESERVE_NAME = "RESERVE"
PACKS, SEGMENTS = "packs", "segments"
PARTIAL_SUFFIX = ".partial"

FORMATTED_DISK_NAMES = frozenset(
    {
        "lost+found",
        "System Volume Information",
        "$RECYCLE.BIN",
        ".Trashes",
        ".Trash-0",
        ".Trash-1000",
        ".fseventsd",
        ".Spotlight-V100",
        ".DS_Store",
        ".TemporaryItems",
    }
)
"""What file systems and desktops put on an empty disk by themselves."""

_PACK = re.compile(r"(\d{8})\.tar\.zst")
_SEGMENT = re.compile(r"(\d{8})\.jsonl\.zst")


@dataclass(frozen=True)
class Layout:
    """The paths of one device; `root` is its directory."""

    root: str

    def at(self, name: str) -> str:
        """A file of the device's top level."""
        return os.path.join(self.root, name)

    @property
    def packs(self) -> str:
        """The directory of the packs."""
        return self.at(PACKS)

    @property
    def segments(self) -> str:
        """The directory of the segments."""
        return self.at(SEGMENTS)

    def pack(self, sequence: int) -> str:
        """Pack file `sequence`."""
        return os.path.join(self.packs, pack_name(sequence))

    def segment(self, sequence: int) -> str:
        """Segment file `sequence`."""
        return os.path.join(self.segments, segment_name(sequence))


def pack_name(sequence: int) -> str:
    """File name of a pack."""
    return f"{sequence:08d}.tar.zst"


def segment_name(sequence: int) -> str:
    """File name of a segment."""
    return f"{sequence:08d}.jsonl.zst"


def pack_number(name: str) -> int | None:
    """The sequence number of a pack's file name; None for any other name."""
    match = _PACK.fullmatch(name)
    return int(match[1]) if match else None


def segment_number(name: str) -> int | None:
    """The sequence number of a segment's file name; None for any other name."""
    match = _SEGMENT.fullmatch(name)
    return int(match[1]) if match else None
