"""Where entries go: as what they are, or as the objects that a list says they were (`import --objects`)."""

from __future__ import annotations

from transfer.core.records import File, Metadata
from transfer.jobs.import_.entries import Target, key_of, object_target, target_of
from transfer.jobs.import_.listed_objects import LIST_PATH, ListedObjects
from transfer.jobs.import_.options import ImportOptions


class Targets:
    """The targets of one import.

    Args:
        options: of the import.
        listed: the list; None where none was asked for.

    Attributes:
        met: how many of the list's objects were met.
        changed: of these, how many have other content than they had as objects.
    """

    def __init__(self, options: ImportOptions, listed: ListedObjects | None = None) -> None:
        self.met = self.changed = 0
        self._options = options
        self._listed = listed

    def of(self, path: bytes, record: Metadata, size_bytes: int) -> Target:
        """Where an entry goes; see `entries.target_of`."""
        line = self._listed.find(path) if self._listed is not None else None
        if line is None:
            return target_of(path, record, size_bytes, self._options)
        self.met += 1
        self.changed += line.size_bytes != size_bytes or (
            isinstance(record, File) and line.blake3 != record.blake3
        )
        return object_target(line.key.encode(), line.object, size_bytes, self._options)

    def key(self, path: bytes) -> str:
        """The key of an entry that is only spoken of."""
        line = self._listed.find(path) if self._listed is not None else None
        return key_of(path if line is None else line.key.encode(), self._options)

    def is_listed(self, path: bytes) -> bool:
        """Whether an entry was an object."""
        return self._listed is not None and self._listed.find(path) is not None

    def is_list(self, path: bytes) -> bool:
        """Whether an entry is the list itself, which becomes no object."""
        return self._listed is not None and path == LIST_PATH

    def notes(self) -> list[str]:
        """What a person should know when all entries were met."""
        if self._listed is None:
            return []
        said: list[str] = []
        if self.changed:
            said.append(
                f"{self.changed:,} files were changed since they were objects: "
                "they have the headers, metadata and tags of then"
            )
        missing = self._listed.count - self.met
        if missing > 0 and self._options.filter.is_empty:
            said.append(f"{missing:,} objects of the list are not on the device")
        return said
