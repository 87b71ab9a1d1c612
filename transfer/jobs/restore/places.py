"""Where in the directory each entry goes: under its own path, unless names have to be others there.

Objects have keys, which are no paths: they always go through `core.names`. Files keep their names where the
target takes any; elsewhere, all entries go through it. All names are given out by a look ahead over the
merged view, in its order and before any filter: so the same entry gets the same name each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter

from transfer.core.merge import merge_runs
from transfer.core.names.mapper import NameMapper
from transfer.core.names.rules import POSIX, Rules
from transfer.core.record_rules import tar_name
from transfer.core.records import Begin, Data, DeleteMarker, Directory, Entry, File, ObjectFacts
from transfer.core.versions import version_of
from transfer.device.path_table import PathTable
from transfer.formats.object_lines import OBJECTS_NAME
from transfer.jobs.restore.units import Unit

NAMES_NAME = ".transfer-names.jsonl"
KEPT = (OBJECTS_NAME, NAMES_NAME, ".transfer-restore-")
"""Beginnings of names that are restore's own."""
_NEWEST, _OTHER_NAME = b"n\0", b"p"


class Places:
    """Paths as they are on the device."""

    has_keys = False
    """Some entries are objects."""

    def of(self, path: bytes, record: Entry) -> bytes:
        """Where an entry goes; a folder's place ends in "/".

        Args:
            path: of the entry, or its key.
            record: of it, or of the file that it stands for.
        """
        return path

    def is_newest(self, key: bytes, version_id: str) -> bool:
        """Whether this version of an object is the one to be restored."""
        return True

    def renamed(self) -> Iterator[tuple[bytes, bytes]]:
        """Path and place of every entry that has another name now, in order of the paths."""
        return iter(())


class MappedPlaces(Places):
    """Paths by `core.names`.

    Args:
        rules: of the target.
        table: on temporary disk, of its own.
        units: all runs, with all their segments.
    """

    def __init__(self, rules: Rules, table: PathTable, units: Sequence[Unit]) -> None:
        self._maps_files = rules != kept_posix()
        self._table = table
        self._mapper = NameMapper(rules, table)
        self.has_keys = False
        merged = merge_runs([unit.records() for unit in units])
        for path, same in groupby(merged, key=itemgetter(0)):
            self._assign(path, [record for _, record in same])

    def of(self, path: bytes, record: Entry) -> bytes:
        """As `Places` says."""
        if facts_of(record) is None and not self._maps_files:
            return path
        return self._mapper.path_of(path, is_folder=is_folder(record))

    def is_newest(self, key: bytes, version_id: str) -> bool:
        """As `Places` says."""
        return self._table.get(_NEWEST + key) == version_id

    def renamed(self) -> Iterator[tuple[bytes, bytes]]:
        """As `Places` says."""
        for row, place in self._table.items() if self._maps_files else ():
            if row.startswith(_OTHER_NAME):
                yield row[2:], place.encode("latin-1")

    def _assign(self, path: bytes, records: Sequence[Entry]) -> None:
        """Versions of a key come together, oldest first: the last one is restored, or none where it is a
        delete marker.
        """
        versions = [record for record in records if version_of(record) is not None]
        for record in versions[-1:] or records:
            if isinstance(record, DeleteMarker):
                continue
            facts = facts_of(record)
            self.has_keys |= facts is not None
            if facts is not None and facts.history:
                self._table.put(_NEWEST + path, facts.version_id)
            if facts is not None or (self._maps_files and isinstance(record, Data)):
                self._mapper.assign(path, is_folder=is_folder(record))


def facts_of(record: Entry) -> ObjectFacts | None:
    """What a bucket said of an entry; None where it is no object."""
    return record.object if isinstance(record, File | Begin) else None


def is_folder(record: Entry) -> bool:
    """Whether an entry becomes a folder: it is one, or an empty object that stands for one."""
    if isinstance(record, Directory):
        return True
    return isinstance(record, File) and record.object is not None and tar_name(record).endswith(b"/")


def kept_posix() -> Rules:
    """The rules of a target that takes any name, but for restore's own."""
    return replace(POSIX, kept=KEPT)
