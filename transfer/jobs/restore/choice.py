"""Which entries a restore brings: those that the filter takes, of these the paths that were named."""

from __future__ import annotations

from collections.abc import Sequence

from transfer.core.filters import Filter
from transfer.core.paths import parent


class Choice:
    """Asked of every entry.

    Args:
        rules: the filter.
        paths: files, or folders with all that is in them; none: everything.
    """

    def __init__(self, rules: Filter, paths: Sequence[bytes] = ()) -> None:
        self._rules = rules
        self._names = tuple({path.rstrip(b"/") for path in paths})
        self._inside = tuple(name + b"/" for name in self._names)
        self.takes_all = rules.is_empty and not paths
        """Everything is wanted, and nobody need ask."""
        self._unmet = set(self._names)
        self._ranges = sorted(self._wanted_ranges())

    def has(self, path: bytes, size_bytes: int | None = None, *, is_object: bool = False) -> bool:
        """Whether an entry is wanted; a folder also where the filter would only go into it.

        Args:
            path: of the entry.
            size_bytes: of a file or object.
            is_object: the path is a key, which may end in "/" and is no folder; as where there is a size.
        """
        if self.takes_all:
            return True
        if self._names and not self._is_named(path):
            return False
        if self._rules.is_empty:
            return True
        if path.endswith(b"/") and size_bytes is None and not is_object:
            return self._rules.may_descend(path)
        return self._rules.accepts_file(path, size_bytes)

    def names(self, folder: bytes) -> bool:
        """Whether a folder, or one above it, was named and is taken with all that is in it."""
        return bool(self._names) and self._rules.is_empty and self._is_named(folder)

    def unmet(self) -> list[bytes]:
        """The paths that were named and never asked of."""
        return sorted(self._unmet)

    def _is_named(self, path: bytes) -> bool:
        if path.rstrip(b"/") not in self._names and not path.startswith(self._inside):
            return False
        if self._unmet:
            self._unmet -= {name for name in self._unmet if path == name or path.startswith(name + b"/")}
        return True

    def touches(self, paths: tuple[bytes, bytes] | None) -> bool:
        """Whether anything between these two paths, or a folder that leads there, may be wanted."""
        if not self._names:
            return True
        return paths is not None and any(
            first <= paths[1] and paths[0] <= last for first, last in self._ranges
        )

    def _wanted_ranges(self) -> list[tuple[bytes, bytes]]:
        """First and last path of each stretch that is looked at: an entry that was named, what is in it, and
        the folders above it.
        """
        ranges = [(name, name) for name in self._names]
        ranges += [(name + b"/", name + b"0") for name in self._names]  # "0" comes behind "/"
        for name in self._names:
            above = parent(name)
            while above:
                ranges.append((above, above))
                above = parent(above)
        return ranges
