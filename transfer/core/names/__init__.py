"""Object keys and file paths: one reversible mapping between them. docs/names.md is its description.

Everything here is pure. `escape` and `unescape` know nothing but a key; `FileAncestors` knows the keys before,
in sorted order, and `NameMapper` also what the target of a restore takes for the same.
"""

from transfer.core.names.ancestors import FileAncestors
from transfer.core.names.escaping import escape, escape_folder, needs_escape, unescape
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
