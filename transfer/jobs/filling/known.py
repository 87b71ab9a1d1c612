"""What the device has, beside the walk: both are sorted, both go forward only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from transfer.core.merge import PathRecord
from transfer.core.records import Entry, Failed, Skipped


@dataclass(frozen=True, slots=True)
class OnDevice:
    """What the device has of one path.

    Attributes:
        entry: its newest entry.
        trouble: the newer record that it failed or was skipped.
        elsewhere: the entry that another device of the set has.
    """

    path: bytes = b""
    entry: Entry | None = None
    trouble: Failed | Skipped | None = None
    elsewhere: Entry | None = None

    @property
    def reason(self) -> str:
        """Why it failed or was skipped; empty when it did not."""
        return self.trouble.reason if self.trouble is not None else ""


class Known:
    """The merged view of a device, path by path.

    Args:
        records: of the device.
        elsewhere: of the set's other devices.
    """

    def __init__(self, records: Iterator[PathRecord], elsewhere: Iterator[PathRecord] | None = None) -> None:
        self._records = records
        self._elsewhere = elsewhere if elsewhere is not None else iter(())
        self._next_elsewhere = next(self._elsewhere, None)
        self._next_record = next(records, None)
        self._head = self._read()
        self._asked = OnDevice()

    def before(self, path: bytes) -> Iterator[OnDevice]:
        """What sorts before `path` and was not asked for."""
        while self._head is not None and self._head.path < path:
            yield self._head
            self._head = self._read()

    def rest(self) -> Iterator[OnDevice]:
        """All that is left."""
        while self._head is not None:
            yield self._head
            self._head = self._read()

    def at(self, path: bytes) -> OnDevice:
        """What the device has of `path`; a second question in a row gets the same answer."""
        if self._asked.path != path:
            elsewhere = self._read_elsewhere(path)
            if self._head is not None and self._head.path == path:
                here, self._head = self._head, self._read()
                self._asked = here if elsewhere is None else replace(here, elsewhere=elsewhere)
            elif elsewhere is not None:
                self._asked = OnDevice(path, elsewhere=elsewhere)
            else:
                return OnDevice()
        return self._asked

    def _read_elsewhere(self, path: bytes) -> Entry | None:
        entry: Entry | None = None
        while self._next_elsewhere is not None and self._next_elsewhere[0] <= path:
            found, record = self._next_elsewhere
            if found == path and not isinstance(record, Failed | Skipped):
                entry = record
            self._next_elsewhere = next(self._elsewhere, None)
        return entry

    def _read(self) -> OnDevice | None:
        if self._next_record is None:
            return None
        path = self._next_record[0]
        entry: Entry | None = None
        trouble: Failed | Skipped | None = None
        while self._next_record is not None and self._next_record[0] == path:
            record = self._next_record[1]
            if isinstance(record, Failed | Skipped):
                trouble = record
            else:
                entry = record
            self._next_record = next(self._records, None)
        return OnDevice(path, entry, trouble)
