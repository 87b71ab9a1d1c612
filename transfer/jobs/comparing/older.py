"""What nobody looks for: versions of keys that are not the newest, and delete markers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from operator import itemgetter

from transfer.core.merge import SpottedRecord
from transfer.core.records import DeleteMarker, Entry
from transfer.core.versions import version_of


class OlderVersions:
    """Counts them, as the merged view of a device goes by.

    Args:
        entries: the view.
        is_wanted: of which keys they count.

    Attributes:
        count: so far.
    """

    def __init__(
        self, entries: Iterator[SpottedRecord], is_wanted: Callable[[bytes], bool] = lambda path: True
    ) -> None:
        self.count = 0
        self._entries = entries
        self._is_wanted = is_wanted

    def __iter__(self) -> Iterator[SpottedRecord]:
        """The same entries."""
        for path, same in groupby(self._entries, key=itemgetter(0)):
            newest: Entry | None = None
            versions = 0
            for item in same:
                if version_of(item[1]) is not None:
                    newest = item[1]
                    versions += 1
                yield item
            if versions and self._is_wanted(path):
                self.count += versions - (not isinstance(newest, DeleteMarker))
