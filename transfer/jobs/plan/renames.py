"""Which names a target of a restore could not hold, so that it gives them others (docs/names.md)."""

from __future__ import annotations

import re
from typing import Final

from transfer.core.names import MACOS, POSIX, WINDOWS, FileAncestors, Rules, escape
from transfer.core.paths import display
from transfer.jobs.plan.collisions import Collisions
from transfer.jobs.plan.refusals import By, Refusals

# Names that need no second look: plain on every target. Most are.
_PLAIN: Final = re.compile(
    rb"(?!(?i:con|prn|aux|nul|com|lpt))[A-Za-z0-9_+=,()-](?:[A-Za-z0-9 _+=,().-]{0,200}[A-Za-z0-9_+=,()-])?"
)
_TARGETS: Final[tuple[tuple[By, Rules, str], ...]] = (
    ("windows", WINDOWS, "a name that Windows cannot hold"),
    ("macos", MACOS, "a name that macOS cannot hold"),
)
_NAMES: Final = {"windows": "Windows", "macos": "macOS"}


class Renames:
    """Looks at names and keys.

    Args:
        refusals: told which.
    """

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self._ancestors = FileAncestors(rules=POSIX)
        self._collisions = Collisions()

    def look_at_name(self, path: bytes) -> None:
        """Look at the last component of the path of a file or folder, which some Linux has."""
        name = path.removesuffix(b"/").rpartition(b"/")[2]
        if not _PLAIN.fullmatch(name):
            plain = escape(name, POSIX)
            for by, rules, reason in _TARGETS:
                if escape(name, rules) != plain:
                    self._refusals.add(by, path, reason)
        self._look_beside(path)

    def look_at_key(self, key: bytes, *, is_folder: bool) -> None:
        """Look at the whole key of an object; keys come in order.

        Args:
            key: of the object.
            is_folder: it is empty and ends in "/".
        """
        path = self._ancestors.path(key, is_folder=is_folder)
        if path != key:
            self._refusals.add("folder", key, "a key that is no path, or has a file among its folders")
        self._look_beside(key)
        bare = key.removesuffix(b"/") if is_folder else key
        if all(map(_PLAIN.fullmatch, bare.split(b"/"))):
            return
        plain = escape(bare, POSIX)
        for by, rules, reason in _TARGETS:
            if escape(bare, rules) != plain:
                self._refusals.add(by, key, reason)

    def _look_beside(self, path: bytes) -> None:
        for by, where, other in self._collisions.found(path):
            shown = display(other.encode("utf-8", "surrogateescape"))
            self._refusals.add(by, where, f"{_NAMES[by]} takes its name for that of {shown} beside it")
