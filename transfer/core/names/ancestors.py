"""Files among the folders of a key: `a` beside `a/b`, which no tree of files can hold.

Keys come sorted. Whatever lies between `a` and `a/b` begins with `a`, so the files that may be ancestors of a
key to come are a chain, each a prefix of the next: flat memory, however many keys there are.
"""

from __future__ import annotations

from collections.abc import Callable

from transfer.core.names.escaping import is_plain, spell
from transfer.core.names.rules import MEMBERS, Rules


class FileAncestors:
    """Paths of sorted keys, the folder numbered (`%~1`) where a file has its name.

    Args:
        earlier: whether a key that sorts before the first one given, or is the same, is one of a file there
            already; None: there are none. It is asked for ancestors alone, for each at most once; all of
            them begin the first key.
        rules: of the target.
    """

    def __init__(self, earlier: Callable[[bytes], bool] | None = None, rules: Rules = MEMBERS) -> None:
        self._earlier = earlier
        self._rules = rules
        self._chain: list[bytes] = []
        self._lengths: set[int] = set()  # of the chain's keys
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
            self._lengths.discard(len(self._chain.pop()))
        if not is_folder and len(key) not in self._lengths:
            self._chain.append(key)
            self._lengths.add(len(key))

    def _numbers(self, key: bytes) -> dict[int, int]:
        """Which components of a key are folders whose path a file has."""
        numbers: dict[int, int] = {}
        end = key.find(b"/")
        index = 0
        while end >= 0:
            if end in self._lengths or (self._earlier is not None and self._was_file(key[:end])):
                numbers[index] = 1
            end = key.find(b"/", end + 1)
            index += 1
        return numbers

    def _was_file(self, ancestor: bytes) -> bool:
        """Whether an ancestor was there before the first key, and is a file."""
        if not ancestor or self._first is None or not self._first.startswith(ancestor):
            return False
        answer = self._asked.get(ancestor)
        if answer is None and self._earlier is not None:
            answer = self._asked[ancestor] = self._earlier(ancestor)
        return bool(answer)
