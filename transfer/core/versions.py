"""Versions of a key: which records are some, and in which order they come (FORMAT.md §10, §11)."""

from __future__ import annotations

from transfer.core.records import Begin, DeleteMarker, Entry, File

MAX_VERSIONS = 100_000
"""Of one key: all of them are held in memory at once."""


def version_of(record: Entry) -> str | None:
    """The version that a record is, where the history of its key is kept; else None."""
    if isinstance(record, DeleteMarker):
        return record.version_id
    if isinstance(record, File | Begin) and record.object is not None and record.object.history:
        return record.object.version_id
    return None


def moment_of(record: Entry) -> str:
    """When a version was made, in a form that sorts as time does."""
    moment = ""
    if isinstance(record, DeleteMarker):
        moment = record.last_modified
    elif isinstance(record, File | Begin) and record.object is not None:
        moment = record.object.last_modified
    return moment.removesuffix("Z")
