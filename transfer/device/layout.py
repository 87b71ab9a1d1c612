"""Where things lie on a device (FORMAT.md §4): names, and nothing but names."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

DEVICE_NAME = "DEVICE.json"
SEAL_NAME = "SEAL.json"
SIGNATURE_NAME = "SEAL.json.sig"
PREVIOUS_SEAL_NAME = "SEAL.json.previous"
CUSTODY_NAME = "CUSTODY.jsonl"
ERASED_NAME = "ERASED.json"
RECOVERY_NAME = "RECOVERY.txt"
SCRIPT_NAME = "recover.sh"
LOCK_NAME = "LOCK"
RESERVE_NAME = "RESERVE"
PACKS, SEGMENTS, KEYS = "packs", "segments", "keys"
JOB_KEY_NAME = f"{KEYS}/job.age"
PARTIAL_SUFFIX = ".partial"
AGE_SUFFIX = ".age"

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

_NUMBERED = re.compile(r"(\d{8})(\..+)", re.ASCII)


@dataclass(frozen=True)
class Layout:
    """The paths of one device; `root` is its directory.

    On an encrypted device the names of packs and segments end in `.age`; those without are strangers there,
    as those with it are elsewhere.
    """

    root: str
    is_encrypted: bool = False

    def at(self, name: str) -> str:
        """A file of the device by its name, which is relative to the root."""
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
        return self.at(self.pack_file(sequence))

    def segment(self, sequence: int) -> str:
        """Segment file `sequence`."""
        return self.at(self.segment_file(sequence))

    def pack_file(self, sequence: int) -> str:
        """Name of a pack from the device's root."""
        return f"{PACKS}/{self.pack_name(sequence)}"

    def segment_file(self, sequence: int) -> str:
        """Name of a segment from the device's root."""
        return f"{SEGMENTS}/{self.segment_name(sequence)}"

    def pack_name(self, sequence: int) -> str:
        """File name of a pack."""
        return f"{sequence:08d}{self._suffix(PACKS)}"

    def segment_name(self, sequence: int) -> str:
        """File name of a segment."""
        return f"{sequence:08d}{self._suffix(SEGMENTS)}"

    def pack_number(self, name: str) -> int | None:
        """The sequence number of a pack's file name; None for any other name."""
        return _number(name, self._suffix(PACKS))

    def segment_number(self, name: str) -> int | None:
        """The sequence number of a segment's file name; None for any other name."""
        return _number(name, self._suffix(SEGMENTS))

    def _suffix(self, folder: str) -> str:
        plain = ".tar.zst" if folder == PACKS else ".jsonl.zst"
        return plain + AGE_SUFFIX if self.is_encrypted else plain


def _number(name: str, suffix: str) -> int | None:
    match = _NUMBERED.fullmatch(name)
    return int(match[1]) if match and match[2] == suffix else None


def sealed_names(layout: Layout) -> tuple[str, ...]:
    """The files that a seal lists beside packs and segments, in its order (FORMAT.md §12)."""
    names = (DEVICE_NAME, RECOVERY_NAME, SCRIPT_NAME)
    return (*names, JOB_KEY_NAME) if layout.is_encrypted else names
