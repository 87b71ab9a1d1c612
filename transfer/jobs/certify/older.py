"""What a certificate says nothing of: versions of keys that are not the newest, and delete markers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from transfer.core.merge import SpottedRecord
from transfer.core.records import DeleteMarker, Entry
from transfer.core.versions import version_of


class OlderVersions:
    """Counts them, as the merged view of a device goes by.

    Args:
        entries: the view.

    Attributes:
        count: so far.
    """

    def __init__(self, entries: Iterator[SpottedRecord]) -> None:
        self.count = 0
        self._entries = entries

    def __iter__(self) -> Iterator[SpottedRecord]:
        """The same entries."""
        for _, same in groupby(self._entries, key=itemgetter(0)):
            newest: Entry | None = None
            for item in same:
                if version_of(item[1]) is not None:
                    newest = item[1]
                    self.count += 1
                yield item
            self.count -= newest is not None and not isinstance(newest, DeleteMarker)
