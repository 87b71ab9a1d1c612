"""The path of each key in a restore, where the target may take different names for the same.

Keys are assigned in sorted order, which makes the paths the same each time; whoever comes first has the plain
name. Afterwards the path of any of them can be asked for.
"""

from __future__ import annotations

from transfer.core.names.ancestors import FileAncestors
from transfer.core.names.escaping import escape, escape_folder
from transfer.core.names.rules import Rules
from transfer.core.names.siblings import Siblings
from transfer.core.names.table import Table


class NameMapper:
    """Keys to paths of one target.

    Args:
        rules: of the target.
        table: of its own. It holds each path that is not its key; where the target takes different names
            for the same, also one or two short rows for each name.
    """

    def __init__(self, rules: Rules, table: Table) -> None:
        self._rules = rules
        self._table = table
        self._ancestors = FileAncestors(rules=rules)
        self._siblings = Siblings(rules, table)

    def assign(self, key: bytes, *, is_folder: bool = False) -> bytes:
        """The path of the next key; a folder's ends in "/".

        Args:
            key: not before the one given last; the same again gives the same.
            is_folder: the key ends in "/" and is that of a folder, not of a file with content.

        Raises:
            ValueError: keys are not sorted.
        """
        if self._rules.folds:
            self._ancestors.note(key, is_folder=is_folder)  # for the order alone
            path = self._siblings.path(key, is_folder=is_folder)
        else:
            path = self._ancestors.path(key, is_folder=is_folder)
        if path != key:
            self._table.put(_row(b"p", key, is_folder=is_folder), path.decode("latin-1"))
        return path

    def path_of(self, key: bytes, *, is_folder: bool = False) -> bytes:
        """The path of a key that was assigned before; any order."""
        path = self._table.get(_row(b"p", key, is_folder=is_folder))
        if path is not None:
            return path.encode("latin-1")
        # Its own path, unless it never was assigned: then it is no path that could lead elsewhere.
        return escape_folder(key, self._rules) if is_folder else escape(key, self._rules)


def _row(kind: bytes, key: bytes, *, is_folder: bool) -> bytes:
    return kind + (b"/" if is_folder else b".") + key
