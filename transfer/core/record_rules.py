"""What must be true of one record by itself, beyond the types and ranges of its fields (FORMAT.md §5, §10).

The order of records and the frames that they stand in are the business of `stream_rules`.
"""

from __future__ import annotations

import base64
import re

from transfer.core.names import unescape
from transfer.core.paths import MAX_KEY_BYTES, check_path, display, path_defect
from transfer.core.records import (
    Begin,
    Chunk,
    DeleteMarker,
    Directory,
    Entry,
    File,
    Hardlink,
    Metadata,
    ObjectFacts,
    Symlink,
)
from transfer.errors import FormatError

MAX_XATTRS_BYTES = 256 * 1024
MAX_FACTS_BYTES = 64 * 1024

_HEX = re.compile("[0-9a-f]*")


def check_key(key: bytes) -> bytes:
    """Give `key` back if it can be one of a bucket (FORMAT.md §5).

    Raises:
        FormatError: naming it and the rule that it breaks.
    """
    try:
        key.decode()
    except UnicodeDecodeError:
        raise FormatError(f"key {display(key[:200])} is not UTF-8") from None
    if not 1 <= len(key) <= MAX_KEY_BYTES:
        raise FormatError(f"key {display(key[:200])} has {len(key):,} bytes, not 1 to {MAX_KEY_BYTES:,}")
    return key


def check_record(record: Entry, path: bytes, *, keys: bool = False) -> None:
    """Hold a record with `path` against the rules.

    Args:
        record: any with a path.
        path: of the record.
        keys: its segment says that paths are keys of a bucket.

    Raises:
        FormatError: naming the path and the rule that it breaks.
    """
    if keys:
        check_key(path)
        _check_object(record, path)
        return
    check_path(path)
    if isinstance(record, DeleteMarker) or (isinstance(record, File | Begin) and record.object is not None):
        raise FormatError(f"{display(path)} is an object, among files")
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


def tar_name(record: Metadata) -> bytes:
    """The name of the tar member that a record describes: its path; of an object, that or another."""
    facts = record.object if isinstance(record, File | Begin) else None
    return facts.member.encode() if facts is not None and facts.member else record.path_bytes


def _check_object(record: Entry, key: bytes) -> None:
    if isinstance(record, Directory | Symlink | Hardlink):
        raise FormatError(f"{display(key)} is no object, among objects")
    if isinstance(record, File | Begin):
        if record.object is None or record.xattrs:
            raise FormatError(f"{display(key)} lacks what an object has, or has what none has")
        _check_facts(record.object, key)
        _check_member(record, key)
    if isinstance(record, File | Chunk):
        _check_sums(record, key)


def _check_facts(facts: ObjectFacts, key: bytes) -> None:
    pairs = [*facts.user.items(), *facts.tags.items(), *facts.checksums.items()]
    if sum(len(name.encode()) + len(value.encode()) for name, value in pairs) > MAX_FACTS_BYTES:
        raise FormatError(f"{display(key)} has metadata of over {MAX_FACTS_BYTES:,} bytes")


def _check_member(record: File | Begin, key: bytes) -> None:
    """The tar name leads back to the key, and no further than tar may go."""
    name = tar_name(record)
    if defect := path_defect(name):
        raise FormatError(f"{display(key)}: its tar name {defect}")
    if name != key and unescape(name) != key:
        raise FormatError(f"{display(key)}: its tar name {display(name)} is of another key")
    if name.endswith(b"/") and (record.size_bytes or isinstance(record, Begin)):
        raise FormatError(f"{display(key)} has content, and the tar name of a folder")


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
