"""What targets take for the same, we take for the same too."""

from __future__ import annotations

import unicodedata

from transfer.core.names import MACOS, WINDOWS, Rules, fold

COMPATIBLE = Rules(folds_case=True, folds_compatibility=True)


def test_every_character() -> None:
    """Simple upper case, lower case, case folding and normalisation, of each character of Unicode."""
    wrong = []
    for code in range(0x80, 0x30000):  # beyond, nothing has a case or another form
        if 0xD800 <= code < 0xE000:
            continue
        char = chr(code)
        cases = {char.upper(), char.lower(), char.casefold(), char.title()} - {char}
        if any(fold(other, rules) != fold(char, rules) for other in cases for rules in (WINDOWS, MACOS)):
            wrong.append(char)
        decomposed = unicodedata.normalize("NFD", char)
        if decomposed != char and fold(decomposed, MACOS) != fold(char, MACOS):
            wrong.append(char)
    assert wrong == []


def test_what_is_passed_over() -> None:
    assert fold("a\u200db\ufeff", MACOS) == fold("AB", MACOS)
    assert fold("a\u200db", WINDOWS) != fold("ab", WINDOWS)


def test_what_is_compatible() -> None:
    assert fold("\ufb01\u2460\uff21", COMPATIBLE) == "fi1a"
    assert fold("\ufb01", MACOS) == fold("FI", MACOS)  # by case folding
    assert fold("\u2460", MACOS) != "1"


def test_what_folds_nothing() -> None:
    assert fold("\u00c9\u200dA", Rules()) == "\u00c9\u200dA"
