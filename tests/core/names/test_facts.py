"""What a file system showed, and the rules that follow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from transfer.core.names import MACOS, POSIX, WINDOWS, Facts, Rules, rules_for
from transfer.core.names.facts import (
    ALIAS_TO_TRY,
    BEYOND_ASCII_TO_TRY,
    BYTES_TO_TRY,
    CASE_TO_TRY,
    COMPATIBILITY_TO_TRY,
    FORBIDDEN_TO_TRY,
    NORMALIZATION_TO_TRY,
    TRIMMED_TO_TRY,
)
from transfer.core.names.folding import fold
from transfer.core.names.rules import MIN_NAME_LENGTH

EXFAT = Facts(folds_case=True, forbids=FORBIDDEN_TO_TRY[:-1], unicode_only=True, max_name_bytes=1530)
APFS = Facts(folds_case=True, folds_normalization=True, unicode_only=True)


@pytest.mark.parametrize(
    ("facts", "rules"),
    [
        (Facts(), POSIX),
        (APFS, MACOS),
        (replace(APFS, folds_case=False), replace(MACOS, folds_case=False)),
        (EXFAT, replace(WINDOWS, has_short_aliases=False)),
        (replace(EXFAT, has_short_aliases=True, trims_end=True), WINDOWS),
        (Facts(forbids=":"), replace(WINDOWS, has_short_aliases=False)),
        (Facts(has_short_aliases=True), WINDOWS),
        (Facts(folds_case=True), Rules(folds_case=True)),
        (Facts(max_name_bytes=143), Rules(max_bytes=143)),
        (Facts(max_name_bytes=14), Rules(max_bytes=MIN_NAME_LENGTH)),
        (Facts(forbids="\x7f"), Rules(forbidden="\x7f")),
        (Facts(ascii_only=True), Rules(max_utf16=255, unicode_only=True, ascii_only=True)),
        (Facts(folds_compatibility=True), Rules(folds_compatibility=True)),
    ],
)
def test_rules(facts: Facts, rules: Rules) -> None:
    assert rules_for(facts) == rules
    assert rules_for(facts, kept=(".x",)) == replace(rules, kept=(".x",))


def test_what_is_tried_tells_what_it_should() -> None:
    for pair, rules in (
        (CASE_TO_TRY, Rules(folds_case=True)),
        (NORMALIZATION_TO_TRY, Rules(folds_normalization=True)),
        (COMPATIBILITY_TO_TRY, Rules(folds_compatibility=True)),
    ):
        first, second = pair
        assert fold(first, rules) == fold(second, rules)
        assert fold(first, POSIX) != fold(second, POSIX)
    assert set(FORBIDDEN_TO_TRY) - set(WINDOWS.forbidden) == {"\x7f"}
    assert not BEYOND_ASCII_TO_TRY.isascii()
    assert TRIMMED_TO_TRY.endswith(" ")
    assert ALIAS_TO_TRY[1].endswith("~1")
    with pytest.raises(UnicodeDecodeError):
        BYTES_TO_TRY.decode()
