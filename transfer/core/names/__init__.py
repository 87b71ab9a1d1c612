"""Object keys and file paths: one reversible mapping between them. docs/names.md is its description.

`escape` and `unescape` know nothing but a key; `FileAncestors` knows the keys before it, in sorted order, and
`NameMapper` also what the target of a restore takes for the same.

What is named here is loaded when it is asked for: every command reads records, which need `unescape` alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from transfer.core.names.unescaping import unescape

if TYPE_CHECKING:
    from transfer.core.names.ancestors import FileAncestors
    from transfer.core.names.escaping import escape, escape_folder, needs_escape
    from transfer.core.names.facts import Facts, rules_for
    from transfer.core.names.folding import fold
    from transfer.core.names.mapper import NameMapper
    from transfer.core.names.rules import MACOS, MEMBERS, POSIX, WINDOWS, Rules
    from transfer.core.names.table import Table

__all__ = [
    "MACOS",
    "MEMBERS",
    "POSIX",
    "WINDOWS",
    "Facts",
    "FileAncestors",
    "NameMapper",
    "Rules",
    "Table",
    "escape",
    "escape_folder",
    "fold",
    "needs_escape",
    "rules_for",
    "unescape",
]

_PLACES = {
    "ancestors": ("FileAncestors",),
    "escaping": ("escape", "escape_folder", "needs_escape"),
    "facts": ("Facts", "rules_for"),
    "folding": ("fold",),
    "mapper": ("NameMapper",),
    "rules": ("MACOS", "MEMBERS", "POSIX", "WINDOWS", "Rules"),
    "table": ("Table",),
}


def __getattr__(name: str) -> object:
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
