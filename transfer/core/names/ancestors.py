"""Files among the folders of a key: `a` beside `a/b`, which no tree of files can hold.

Keys come sorted. Whatever lies between `a` and `a/b` begins with `a`, so the files that may be ancestors of a
key to come are a chain, each a prefix of the next: flat memory, however many keys there are.
"""

from __future__ import annotations

from collections.abc import Callable

from transfer.core.names.escaping import is_plain, spell
from transfer.core.names.rules import MEMBERS, Rules

_SLASH = ord("/")


class FileAncestors:
    """Paths of sorted keys, the folder numbered (`%~1`) where a file has its name.

    Args:
        earlier: whether a key that sorts before the first one given is one of a file; None: there are none.
            It is asked for ancestors alone: each at most once, prefixes of the first key all of them.
        rules: of the target.
    """

    def __init__(self, earlier: Callable[[bytes], bool] | None = None, rules: Rules = MEMBERS) -> None:
        self._earlier = earlier
        self._rules = rules
        self._chain: list[bytes] = []
        self._first: bytes | None = None
        self._asked: dict[bytes, bool] = {}
        self._last = b""

    def member_name(self, key: bytes, *, is_folder: bool = False) -> str:
        """The name of a key in a tar; "" where it is the key itself.

        Args:
            key: not before the one given last; the same again gives the same.
            is_folder: it ends in "/" and becomes a folder, not a file with content.

        Raises:
            ValueError: keys are not sorted.
        """
        path = self.path(key, is_folder=is_folder)
        return "" if path == key else path.decode("utf-8", "surrogateescape")

    def path(self, key: bytes, *, is_folder: bool = False) -> bytes:
        """The path of a key; arguments and errors as `member_name`."""
        self.note(key, is_folder=is_folder)
        bare = key[:-1] if is_folder else key
        numbers = self._numbers(key) if b"/" in key else {}
        if numbers or not is_plain(bare, self._rules):
            bare = spell(bare, self._rules, numbers)
        return bare + b"/" if is_folder else bare

    def note(self, key: bytes, *, is_folder: bool = False) -> None:
        """Know of a key whose path is not asked for, as it is on the device already.

        Raises:
            ValueError: keys are not sorted, or a folder does not end in "/".
        """
        if key < self._last or (is_folder and not key.endswith(b"/")):
            raise ValueError(f"{key[:200]!r} behind {self._last[:200]!r}, is_folder={is_folder}")
        if self._first is None:
            self._first = key
        self._last = key
        while self._chain and not key.startswith(self._chain[-1]):
            self._chain.pop()
        if not is_folder and not (self._chain and self._chain[-1] == key):
            self._chain.append(key)

    def _numbers(self, key: bytes) -> dict[int, int]:
        """Which components of a key are folders whose path a file has."""
        files = {len(file) for file in self._chain if len(file) < len(key) and key[len(file)] == _SLASH}
        if self._earlier is not None:
            files |= self._earlier_files(key)
        return {key.count(b"/", 0, length): 1 for length in files}

    def _earlier_files(self, key: bytes) -> set[int]:
        """Lengths of ancestors that came before the first key and are files."""
        found = set()
        end = key.find(b"/")
        while end >= 0 and self._is_before_first(key[:end]):
            if end and self._ask(key[:end]):
                found.add(end)
            end = key.find(b"/", end + 1)
        return found

    def _is_before_first(self, ancestor: bytes) -> bool:
        first = self._first or b""
        return first.startswith(ancestor) and len(ancestor) < len(first)

    def _ask(self, ancestor: bytes) -> bool:
        answer = self._asked.get(ancestor)
        if answer is None and self._earlier is not None:
            answer = self._asked[ancestor] = self._earlier(ancestor)
        return bool(answer)
