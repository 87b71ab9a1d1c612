"""What an entry becomes in the bucket: its key and metadata, or the reason why it cannot go. Pure."""

from __future__ import annotations

from msgspec import Struct

from transfer.core.content_type import guess_content_type
from transfer.core.file_metadata import file_metadata
from transfer.core.filters import Filter
from transfer.core.object_keys import LINK_SUFFIX, object_key
from transfer.core.object_metadata import NO_METADATA, ObjectMetadata, check_metadata
from transfer.core.paths import display
from transfer.core.records import Directory, Failed, Metadata, ObjectFacts, Skipped, Symlink
from transfer.jobs.import_.objects import class_of, facts_of, object_metadata
from transfer.jobs.import_.options import ImportOptions

FOLDER_TYPE = "application/x-directory"
LINK_TYPE = "text/plain"

_MOST_METADATA_BYTES = 512
"""More than `file_metadata`, a content type and a storage class ever come to, names included."""


class Target(Struct, frozen=True):
    """Where an entry goes; `problem` says why it cannot, and is empty when it can."""

    key: str
    metadata: ObjectMetadata
    problem: str = ""


def target_of(path: bytes, record: Metadata, size_bytes: int, options: ImportOptions) -> Target:
    """Where an entry goes, all limits of the endpoint checked.

    Args:
        path: of the record.
        record: a file's, object's, hard link's, folder's or symbolic link's.
        size_bytes: of the object.
        options: of the import.
    """
    if (facts := facts_of(record)) is not None:
        return object_target(path, facts, size_bytes, options)
    name = path + LINK_SUFFIX.encode() if isinstance(record, Symlink) else path
    key, problem = object_key(options.prefix, name, options.limits)
    if problem:
        return Target(key, NO_METADATA, problem)
    user = file_metadata(mtime_ns=record.mtime_ns, mode=record.mode, uid=record.uid, gid=record.gid)
    storage_class = class_of(options.storage_class)
    metadata = ObjectMetadata(content_type=_content_type(key, record), storage_class=storage_class, user=user)
    return Target(key, metadata, _objection(metadata, size_bytes, options))


def object_target(key: bytes, facts: ObjectFacts, size_bytes: int, options: ImportOptions) -> Target:
    """Where an exported object goes, all limits of the endpoint checked.

    Args:
        key: that it had, without the prefix of the import.
        facts: what the bucket said of it.
        size_bytes: of its content.
        options: of the import.
    """
    name, problem = object_key(options.prefix, key, options.limits)
    if problem:
        return Target(name, NO_METADATA, problem)
    metadata = object_metadata(facts, options.storage_class)
    problem = _too_large(size_bytes, options) or check_metadata(metadata, options.limits) or ""
    return Target(name, metadata, problem)


def key_of(path: bytes, options: ImportOptions) -> str:
    """The key of an entry that is only spoken of, such as one that the device lacks."""
    return object_key(options.prefix, path, options.limits)[0]


def is_wanted(path: bytes, size_bytes: int | None, rules: Filter, *, is_object: bool = False) -> bool:
    """Whether the filter takes an entry; a folder as a walk asks, which goes into it or not.

    Args:
        path: of the entry.
        size_bytes: of a file or object.
        rules: the filter.
        is_object: the path is a key: what ends in a slash is no folder.
    """
    if rules.is_empty:
        return True
    if path.endswith(b"/") and not is_object:
        return rules.may_descend(path)
    return rules.accepts_file(path, size_bytes)


def missing_reason(record: Failed | Skipped) -> str:
    """Why the device lacks an entry."""
    detail = record.detail if isinstance(record, Failed) else ""
    return f"not on the device: {record.reason} at the source{': ' if detail else ''}{detail}"


def link_problem(record: Symlink) -> str:
    """Why a symbolic link cannot go as itself."""
    return f"symbolic link to {display(record.target_bytes)}: a bucket has none (see --symlinks)"


def _content_type(key: str, record: Metadata) -> str:
    if isinstance(record, Directory):
        return FOLDER_TYPE
    return LINK_TYPE if isinstance(record, Symlink) else guess_content_type(key)


def _too_large(size_bytes: int, options: ImportOptions) -> str:
    if size_bytes > options.limits.object_max_bytes:
        return f"{size_bytes:,} bytes; the store takes objects of {options.limits.object_max_bytes:,}"
    return ""


def _objection(metadata: ObjectMetadata, size_bytes: int, options: ImportOptions) -> str:
    limits = options.limits
    if problem := _too_large(size_bytes, options):
        return problem
    if min(limits.user_metadata_max_bytes, limits.headers_max_bytes) >= _MOST_METADATA_BYTES:
        return ""  # every file would be measured for nothing
    return check_metadata(metadata, limits) or ""
