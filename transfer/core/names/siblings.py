"""Numbers for names that a target takes for a name beside them."""

from __future__ import annotations

from dataclasses import dataclass

from transfer.core.names.escaping import GOES_ON, cut, escape_name, to_bytes, to_text
from transfer.core.names.folding import fold
from transfer.core.names.rules import Rules
from transfer.core.names.table import Table


@dataclass(frozen=True)
class _Folder:
    """A folder on the target.

    Attributes:
        key: what all keys in it begin with, "/" at its end; where a component goes on: of the folder above.
        path: on the target, where it is the only spelling that is used of it; "" or ends in "/".
    """

    key: str = ""
    path: str = ""


class Siblings:
    """Paths of sorted keys on a target that takes different names for the same.

    Args:
        rules: of the target.
        table: gets a row for each name on the target: the last number that names like it have.
    """

    def __init__(self, rules: Rules, table: Table) -> None:
        self._rules = rules
        self._table = table
        self._open = [_Folder()]
        self._key = b""
        self._paths: dict[bool, bytes] = {}  # of this key: it may be that of a folder, then of a file

    def path(self, key: bytes, *, is_folder: bool) -> bytes:
        """The path of the next key in order, or of the last one again."""
        if key != self._key:
            self._key = key
            self._paths = {}
        if is_folder not in self._paths:
            self._paths[is_folder] = to_bytes(self._new(to_text(key), is_folder=is_folder))
        return self._paths[is_folder]

    def _new(self, key: str, *, is_folder: bool) -> str:
        while not key.startswith(self._open[-1].key):
            self._open.pop()
        *folders, file = key[len(self._open[-1].key) :].split("/")
        for name in folders:
            above, taken = self._take(self._open[-1], name)
            self._open.append(self._inside(above, taken, f"{self._open[-1].key}{name}/"))
        if is_folder:
            return self._open[-1].path
        above, taken = self._take(self._open[-1], file)
        return above.path + taken

    def _inside(self, above: _Folder, name: str, key: str) -> _Folder:
        return _Folder(key, f"{above.path}{name}/")

    def _take(self, above: _Folder, name: str, mark: str = "") -> tuple[_Folder, str]:
        """A free name for a component of a key, and the folder on the target that it is in."""
        folder, escaped = self._cut(above, name, mark)
        like_it = self._row(folder, escaped)
        last = self._table.get(like_it)
        if last is None:
            self._table.put(like_it, "0")
            return folder, escaped
        number = int(last)
        row: bytes | None = None
        while row is None or self._table.get(row) is not None:
            number += 1
            folder, escaped = self._cut(above, name, f"%~{number}{mark}")
            row = self._row(folder, escaped)
        self._table.put(row, "0")
        self._table.put(like_it, str(number))
        return folder, escaped

    def _cut(self, above: _Folder, name: str, marks: str) -> tuple[_Folder, str]:
        """A component with these marks behind it; where it is too long, its end, inside of its beginning."""
        *heads, last = cut(name, self._rules, len(marks))
        for head in heads:
            above = self._go_on(above, head)
        return above, escape_name(last, self._rules) + marks

    def _go_on(self, above: _Folder, head: str) -> _Folder:
        """The folder where components go on that begin with `head`; their keys need not be neighbours."""
        row = b"c" + to_bytes(f"{above.path}\0{head}")
        name = self._table.get(row)
        if name is None:
            above, taken = self._take(above, head, GOES_ON)
            self._table.put(row, to_bytes(taken).decode("latin-1"))
        else:
            taken = to_text(name.encode("latin-1"))
        return self._inside(above, taken, above.key)

    def _row(self, folder: _Folder, name: str) -> bytes:
        return b"s" + to_bytes(folder.path + fold(name, self._rules))
