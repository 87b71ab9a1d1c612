"""What verify finds: one value a defect, with a code that documents and tests can rely on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

CODES: Final = {
    "device-invalid": "DEVICE.json breaks the format, or has a version this program does not read",
    "seal-invalid": "SEAL.json breaks the format",
    "seal-foreign": "the seal is of another device or job",
    "signature-missing": "the seal is not signed, and it has to be",
    "signature-invalid": "SEAL.json.sig is no signature",
    "signature-wrong": "the signature is of another seal, for another use, or of a kind that is not accepted",
    "signer-unknown": "the key that signed is not one that may, or not any more",
    "seal-disagrees": "the seal says another thing than the segments, of a pack or in its totals",
    "custody-invalid": "CUSTODY.jsonl breaks the format, or its chain is broken",
    "file-missing": "a file under the seal is gone",
    "file-altered": "a file under the seal has another size or digest",
    "pack-missing": "a pack is gone",
    "pack-extra": "a pack that neither seal nor manifest know",
    "pack-truncated": "a pack is shorter than it was",
    "pack-altered": "a pack's stored bytes are not what they were",
    "pack-swapped": "a pack holds the bytes of another pack of this device",
    "segment-missing": "a segment is gone",
    "segment-extra": "a segment that the seal does not know",
    "segment-altered": "a segment's stored bytes are not what they were",
    "segment-invalid": "a segment breaks the format",
    "stranger": "a file that does not belong where it is",
    "uncommitted": "a file that was never committed; the next copy deletes it",
    "frame-damaged": "a frame does not decompress to what its record says",
    "content-altered": "content differs from its record",
    "seek-table": "a pack's seek table disagrees with its segment",
    "file-digest": "the chunks of a large file are right, but not its digest as a whole",
    "link-dangling": "a hard link without the file that it names",
    "incomplete": "the last copy did not end: entries are missing",
    "unreadable": "the disk could not read this",
}


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One defect.

    Attributes:
        code: one of CODES.
        file: name of the file on the device.
        frame: number of the frame in its pack.
        path: the entry, as display text.
        detail: what exactly is wrong.
    """

    code: str
    file: str = ""
    frame: int | None = None
    path: str = ""
    detail: str = ""

    def __str__(self) -> str:
        frame = f"frame {self.frame}" if self.frame is not None else ""
        place = ", ".join(part for part in (self.file, frame, self.path) if part)
        return ": ".join(part for part in (self.code, place, self.detail) if part)


Report = Callable[[Finding], None]
"""Where findings go, as they are found."""
