"""Which rules a file system needs, by what trying on it told. Nothing is tried here."""

from __future__ import annotations

from dataclasses import dataclass, replace

from transfer.core.names.rules import MIN_NAME_LENGTH, POSIX, WINDOWS, Rules

FORBIDDEN_TO_TRY = '<>:"|?*\\\x01\x7f'
"""Characters, each to be tried in a name of its own."""

BEYOND_ASCII_TO_TRY = "transfer-\u4e2d"
"""A name that some character sets lack."""

CASE_TO_TRY = ("transfer-a", "TRANSFER-A")
NORMALIZATION_TO_TRY = ("transfer-\u00e9", "transfer-e\u0301")
COMPATIBILITY_TO_TRY = ("transfer-\ufb01", "transfer-fi")
"""Pairs of names: where the first was made, is the second there?"""

ALIAS_TO_TRY = ("transfer-with-alias", "TRANSF~1")
"""The same of the short name that a target may give beside the long one."""

TRIMMED_TO_TRY = "transfer-b. "
"""A name that comes back otherwise, or not at all, where ends are trimmed."""

BYTES_TO_TRY = b"transfer-\xff"
"""A name that is not UTF-8."""


@dataclass(frozen=True)
class Facts:
    """What trying told of a file system.

    Attributes:
        folds_case, folds_normalization, folds_compatibility: the second name of a pair was there.
        has_short_aliases: so was the short name.
        forbids: the characters that were refused, or came back as others.
        trims_end: the name that ends in a dot and a space did not come back.
        unicode_only: the name that is not UTF-8 was refused, or came back otherwise.
        ascii_only: so was the one that is not ASCII.
        max_name_bytes: what statvfs says of a name's length.
    """

    folds_case: bool = False
    folds_normalization: bool = False
    folds_compatibility: bool = False
    has_short_aliases: bool = False
    forbids: str = ""
    trims_end: bool = False
    unicode_only: bool = False
    ascii_only: bool = False
    max_name_bytes: int = POSIX.max_bytes


def rules_for(facts: Facts, kept: tuple[str, ...] = ()) -> Rules:
    """The rules that a file system needs; POSIX where it takes any name.

    A file system that forbids some of what Windows forbids is taken as one that Windows reads, and gets all
    of its rules: what a driver of another system lets pass could not be opened there.

    Args:
        facts: what trying told.
        kept: beginnings of names that whoever restores keeps for files of its own.
    """
    of_windows = (
        facts.trims_end or facts.has_short_aliases or any(c in WINDOWS.forbidden for c in facts.forbids)
    )
    base = WINDOWS if of_windows else POSIX
    is_unicode = base.unicode_only or facts.unicode_only or facts.ascii_only
    others = "".join(c for c in facts.forbids if c not in base.forbidden)
    return replace(
        base,
        max_bytes=max(MIN_NAME_LENGTH, min(base.max_bytes, facts.max_name_bytes)),
        max_utf16=255 if is_unicode else 0,
        forbidden=base.forbidden + others,
        has_short_aliases=facts.has_short_aliases,
        unicode_only=is_unicode,
        ascii_only=facts.ascii_only,
        folds_case=base.folds_case or facts.folds_case,
        folds_normalization=facts.folds_normalization,
        folds_compatibility=facts.folds_compatibility,
        kept=kept,
    )
