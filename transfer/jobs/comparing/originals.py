"""The content that hard links stand for, which their own records do not tell.

A hard link names the newest file record of its target in its own run or before (FORMAT.md §10): found by a
pass over the runs in their order. What must be remembered lies on temporary disk; of a device with one run
that is the files with several names.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from transfer.core.records import File, Hardlink
from transfer.device.manifest import Manifest
from transfer.device.path_table import PathTable

# Kinds of rows; a path holds no NUL byte, so they never meet.
_FILE, _LINK = b"f\0", b"l\0"


class Content(Struct, frozen=True):
    """What a file's content is.

    Attributes:
        is_mixed: it changed while it was read: what the device has is neither the old nor the new one.
    """

    size_bytes: int
    blake3: str
    crc64nvme: str
    crc32c: str
    is_mixed: bool = False


_decoder = msgspec.json.Decoder(Content)


def content_of(record: File) -> Content:
    """The content of a file, by its record."""
    return Content(record.size_bytes, record.blake3, record.crc64nvme, record.crc32c, is_mixed=record.changed)


class Originals:
    """The content of every hard link of a device."""

    def __init__(self, table: PathTable) -> None:
        self._table = table

    def find(self, manifest: Manifest) -> None:
        """Go over the manifest.

        Raises:
            IntegrityError, DeviceError: it cannot be read.
        """
        several_runs = len(manifest.runs) > 1
        for run in manifest.runs:
            for path, record in manifest.run_records(run):
                if isinstance(record, File) and (several_runs or record.inode is not None):
                    self._table.put(_FILE + path, msgspec.json.encode(content_of(record)).decode())
                elif isinstance(record, Hardlink):
                    self._table.put(_LINK + path, self._table.get(_FILE + record.target_bytes) or "")

    def of(self, path: bytes) -> Content | None:
        """The content of the newest hard link of that path; None where the device does not tell."""
        text = self._table.get(_LINK + path)
        return _decoder.decode(text) if text else None
