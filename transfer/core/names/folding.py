"""When a target takes two names for the same.

Each file system has tables of its own, of its own Unicode version. What is here takes at least the same names
for the same as they do: a name too many gets a number, no name is lost.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

from transfer.core.names.rules import Rules

# Default_Ignorable_Code_Point: HFS+ and case-folding ext4 pass over some or all of them.
_IGNORED = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)


def fold(name: str, rules: Rules) -> str:
    """A text that is equal for all names that the target takes for the same.

    Args:
        name: one name; bytes that are no UTF-8 are lone surrogates (`surrogateescape`).
        rules: of the target.
    """
    if name.isascii():
        return name.lower() if rules.folds_case else name
    if not (rules.folds_normalization or rules.folds_compatibility):
        return _fold_case(name) if rules.folds_case else name
    form: Literal["NFD", "NFKD"] = "NFKD" if rules.folds_compatibility else "NFD"
    folded = unicodedata.normalize(form, _IGNORED.sub("", name))
    if rules.folds_case:
        for _ in range(2 if rules.folds_compatibility else 1):  # what is compatible may have a case again
            folded = unicodedata.normalize(form, _fold_case(folded))
    return folded


def _fold_case(name: str) -> str:
    """Equal for names that are equal in upper case, in lower case or case-folded: targets do any of these."""
    return name.upper().casefold()
