"""Which folders a filtered restore brings: those that hold something it brings."""

from __future__ import annotations

from transfer.core.paths import parent
from transfer.device.path_table import PathTable


class Folders:
    """Folders with something in them; with no filter all are wanted, and nothing is noted.

    Args:
        table: on temporary disk, of its own.
        takes_all: there is no filter.
    """

    def __init__(self, table: PathTable, *, takes_all: bool) -> None:
        self._table = table
        self._takes_all = takes_all
        self._last = b""

    def hold(self, path: bytes) -> None:
        """An entry of this path is wanted."""
        above = parent(path)
        if self._takes_all or above == self._last:
            return
        self._last = above
        while above and self._table.get(above) is None:
            self._table.put(above, "")
            above = parent(above)

    def want(self, path: bytes) -> None:
        """A folder is wanted, whatever is in it."""
        self.hold(path + b"-")

    def has(self, path: bytes) -> bool:
        """Whether a folder ("/" at its end) is wanted."""
        return self._takes_all or self._table.get(path) is not None
