"""Names beside each other that a target takes for the same: `README` and `readme`, or NFC beside NFD.

Paths come in byte order, in which capital letters come first: of two names that differ in case alone the
first one has a capital letter, so names in small ASCII letters need not be remembered. Others are, as long as
their folder is gone through; of a folder with very many of them the first ones alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from transfer.core.names import MACOS, WINDOWS, Rules, fold
from transfer.jobs.plan.refusals import By

MAX_REMEMBERED: Final = 100_000
"""Of a folder: about 30 MB."""

_TARGETS: Final[tuple[tuple[By, Rules], ...]] = (("windows", WINDOWS), ("macos", MACOS))

_Remembered = dict[tuple[By, str], str]


class Collisions:
    """Looks at paths in order, folders with a "/" at their end before what is in them, or not at all."""

    def __init__(self) -> None:
        self._open: list[tuple[bytes, _Remembered]] = [(b"", {})]

    def found(self, path: bytes) -> Iterator[tuple[By, bytes, str]]:
        """Which names on the way to a path, not seen before, a target takes for one beside them.

        Gives the target, the path of the name, and the other name.
        """
        while not path.startswith(self._open[-1][0]):
            self._open.pop()
        above, remembered = self._open[-1]
        *folders, last = path[len(above) :].split(b"/")
        for name in folders:
            above += name + b"/"
            for by, other in _same(name, remembered):
                yield by, above, other
            remembered = {}
            self._open.append((above, remembered))
        if last:
            for by, other in _same(last, remembered):
                yield by, path, other


def _same(name: bytes, remembered: _Remembered) -> Iterator[tuple[By, str]]:
    text = name.decode("utf-8", "surrogateescape")
    if text.isascii():
        lowered = text.lower()  # which is what folding comes to
        if lowered == text and not remembered:
            return
        folds = [(by, lowered) for by, _ in _TARGETS]
        is_remembered = lowered != text
    else:
        folds = [(by, fold(text, rules)) for by, rules in _TARGETS]
        is_remembered = True
    for key in folds:
        other = remembered.get(key)
        if other is not None and other != text:
            yield key[0], other
        elif is_remembered and len(remembered) < 2 * MAX_REMEMBERED:
            remembered[key] = text
