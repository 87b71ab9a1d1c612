"""What an entry becomes in the bucket: its key and metadata, or the reason why it cannot go. Pure."""

from __future__ import annotations

from msgspec import Struct

from transfer.core.content_type import guess_content_type
from transfer.core.file_metadata import file_metadata
from transfer.core.filters import Filter
from transfer.core.object_keys import LINK_SUFFIX, object_key
from transfer.core.object_metadata import NO_METADATA, ObjectMetadata, check_metadata
from transfer.core.paths import display
from transfer.core.records import Directory, Metadata, Symlink
from transfer.jobs.import_.options import ImportOptions

FOLDER_TYPE = "application/x-directory"
LINK_TYPE = "text/plain"

_MOST_METADATA_BYTES = 512
"""More than `file_metadata` and a content type ever come to, names and separators included."""


class Target(Struct, frozen=True):
    """Where an entry goes; `problem` says why it cannot, and is empty when it can."""

    key: str
    metadata: ObjectMetadata
    problem: str = ""


def target_of(path: bytes, record: Metadata, size_bytes: int, options: ImportOptions) -> Target:
    """Where an entry goes, all limits of the endpoint checked.

    Args:
        path: of the record.
        record: a file's, hard link's, folder's or symbolic link's.
        size_bytes: of the object.
        options: of the import.
    """
    name = path + LINK_SUFFIX.encode() if isinstance(record, Symlink) else path
    key, problem = object_key(options.prefix, name, options.limits)
    if problem:
        return Target(key, NO_METADATA, problem)
    user = file_metadata(mtime_ns=record.mtime_ns, mode=record.mode, uid=record.uid, gid=record.gid)
    metadata = ObjectMetadata(content_type=_content_type(key, record), user=user)
    return Target(key, metadata, _objection(metadata, size_bytes, options))


def key_of(path: bytes, options: ImportOptions) -> str:
    """The key of an entry that is only spoken of, such as one that the device lacks."""
    return object_key(options.prefix, path, options.limits)[0]


def is_wanted(path: bytes, size_bytes: int | None, rules: Filter) -> bool:
    """Whether the filter takes an entry; a folder as a walk asks, which goes into it or not."""
    if rules.is_empty:
        return True
    return rules.may_descend(path) if path.endswith(b"/") else rules.accepts_file(path, size_bytes)


def link_problem(record: Symlink) -> str:
    """Why a symbolic link cannot go as itself."""
    return f"symbolic link to {display(record.target_bytes)}: a bucket has none (see --symlinks)"


def _content_type(key: str, record: Metadata) -> str:
    if isinstance(record, Directory):
        return FOLDER_TYPE
    return LINK_TYPE if isinstance(record, Symlink) else guess_content_type(key)


def _objection(metadata: ObjectMetadata, size_bytes: int, options: ImportOptions) -> str:
    if size_bytes > options.limits.object_max_bytes:
        return f"{size_bytes:,} bytes; the store takes objects of {options.limits.object_max_bytes:,}"
    limits = options.limits
    if min(limits.user_metadata_max_bytes, limits.headers_max_bytes) >= _MOST_METADATA_BYTES:
        return ""  # every file would be measured for nothing
    return check_metadata(metadata, limits) or ""
