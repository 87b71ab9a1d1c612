"""Folders with nothing in them that gets a key: they become objects themselves. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from transfer.core.merge import SpottedRecord
from transfer.core.records import DeleteMarker, Directory, Entry, Failed, Skipped, Symlink


def with_emptiness(
    entries: Iterator[SpottedRecord], *, symlinks_have_keys: bool
) -> Iterator[tuple[SpottedRecord, bool]]:
    """Each entry, those with keys in order; of a folder whether nothing in it gets a key."""
    held: SpottedRecord | None = None
    for entry in entries:
        if held is not None and not entry[0].startswith(held[0]):
            yield held, True
            held = None
        elif held is not None and _has_key(entry[1], symlinks_have_keys):
            yield held, False
            held = None
        if isinstance(entry[1], Directory):
            held = entry
        else:
            yield entry, False
    if held is not None:
        yield held, True


def _has_key(record: Entry, symlinks_have_keys: bool) -> bool:
    if isinstance(record, Symlink):
        return symlinks_have_keys
    return not isinstance(record, Failed | Skipped | DeleteMarker)
