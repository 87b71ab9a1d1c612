"""What must be true of one record by itself, beyond the types and ranges of its fields (FORMAT.md §5, §10).

The order of records and the frames that they stand in are the business of `stream_rules`.
"""

from __future__ import annotations

import base64
import re

from transfer.core.paths import check_path, display
from transfer.core.records import Chunk, Directory, Entry, File, Hardlink, Metadata, Symlink
from transfer.errors import FormatError

MAX_XATTRS_BYTES = 256 * 1024

_HEX = re.compile("[0-9a-f]*")


def check_record(record: Entry, path: bytes) -> None:
    """Hold a record with `path` against the rules.

    Raises:
        FormatError: naming the path and the rule that it breaks.
    """
    check_path(path)
    if isinstance(record, Metadata):
        if path.endswith(b"/") != isinstance(record, Directory):
            raise FormatError(f"{display(path)}: only a directory's path ends in a slash")
        if record.xattrs:
            _check_xattrs(record, path)
    match record:
        case File() | Chunk():
            _check_sums(record, path)
        case Symlink() | Hardlink():
            _check_target(record, path)
        case _:
            pass


def _check_sums(record: File | Chunk, path: bytes) -> None:
    """Raise FormatError unless all sums are lower-case hex digits; their number is a matter of the type."""
    if not _HEX.fullmatch(record.blake3 + record.crc64nvme + record.crc32c):
        raise FormatError(f"{display(path)} has a sum that is not lower-case hex digits")


def _check_target(record: Symlink | Hardlink, path: bytes) -> None:
    target = record.target_bytes
    if isinstance(record, Hardlink) and check_path(target) >= path:
        raise FormatError(f"hard link {display(path)} points forward to {display(target)}")
    if b"\0" in target:
        raise FormatError(f"symbolic link {display(path)} has a NUL byte in its target")


def _check_xattrs(record: Metadata, path: bytes) -> None:
    try:
        size = sum(len(base64.b64decode(value, validate=True)) for value in record.xattrs.values())
    except ValueError:  # binascii.Error, or a character beyond ASCII
        raise FormatError(f"{display(path)} has an extended attribute that is not base64") from None
    size += sum(len(name.encode()) for name in record.xattrs)
    if size > MAX_XATTRS_BYTES or any(not name or "=" in name or "\0" in name for name in record.xattrs):
        raise FormatError(f"{display(path)} has extended attributes too large or of impossible names")
