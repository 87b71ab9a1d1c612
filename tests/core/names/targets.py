"""Targets and hostile keys for the tests of names, and an independent look at what targets demand."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import replace

from hypothesis import strategies as st

from transfer.core.names import MACOS, MEMBERS, POSIX, WINDOWS, Rules
from transfer.core.names.rules import MIN_NAME_LENGTH

RULES = {
    "posix": POSIX,
    "members": MEMBERS,
    "windows": WINDOWS,
    "macos": MACOS,
    "short": Rules(max_bytes=MIN_NAME_LENGTH),
    "short-macos": Rules(max_utf16=MIN_NAME_LENGTH, folds_case=True, folds_normalization=True),
    "ext4-casefold": Rules(folds_case=True, folds_normalization=True),
    "case": Rules(folds_case=True, kept=(".kept", "con")),
    "old-fat": replace(WINDOWS, ascii_only=True, forbidden=WINDOWS.forbidden + "\x7f"),
    "zfs-formkd": Rules(unicode_only=True, folds_normalization=True, folds_compatibility=True),
}

# What targets of each kind are known to do to names, one by one.
LOWER: Callable[[str], str] = str.lower
UPPER: Callable[[str], str] = str.upper


def nfd(name: str) -> str:
    return unicodedata.normalize("NFD", name)


def nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def apfs(name: str) -> str:
    return nfd(nfd(name).casefold())


def hfs(name: str) -> str:
    return nfd(nfd(name).lower()).replace("\u200d", "").replace("\ufeff", "")


def nfkd(name: str) -> str:
    return unicodedata.normalize("NFKD", name)


FOLDINGS: dict[str, tuple[Callable[[str], str], ...]] = {
    "posix": (),
    "members": (),
    "windows": (LOWER, UPPER, str.casefold),
    "macos": (nfd, nfc, apfs, hfs, LOWER, UPPER),
    "short": (),
    "short-macos": (nfd, nfc, apfs, hfs),
    "ext4-casefold": (nfc, apfs),
    "case": (LOWER, UPPER, str.casefold),
    "old-fat": (LOWER, UPPER),
    "zfs-formkd": (nfd, nfkd),
}

TOKENS = [
    *("a", "A", "b", "c", "/", "/", "//", ".", "..", "-", "!", " ", "0", "F", "f"),
    *("%", "%2F", "%2f", "%+", "%~1", "%~", "~1", "~", "+", "%25", "%%"),
    *("CON", "aux", "com1", "LPT9", "NUL.txt", ":", "?", "\\", "\x01", "\0", "\n", "LONGNA~1", ".kept"),
    *("\u00e9", "e\u0301", "\u00c9", "\ufb01", "fi", "\u017f", "s", "\u00df", "ss", "\u212a", "k"),
    *("\u0131", "\u0130", "i", "\u200d", "\ufeff", "\uff0f", "\uff05"),
    *("\u0390" * 80, "\uac00" * 90, "\U0001f600" * 64),
    *("\udcff", "\udcc3", "\udca9", "x" * 59, "X" * 59, "x" * 250, "\u00e9" * 130),
]


def to_key(tokens: Iterable[str]) -> bytes:
    """Tokens as a key of at most 1,024 bytes."""
    return "".join(tokens).encode("utf-8", "surrogateescape")[:1024]


def keys_of(tokens: list[str]) -> st.SearchStrategy[bytes]:
    """Keys made of these tokens."""
    return st.lists(st.sampled_from(tokens), min_size=1, max_size=12).map(to_key)


def _sets_of(tokens: list[str]) -> st.SearchStrategy[list[bytes]]:
    return st.lists(keys_of(tokens), min_size=1, max_size=12, unique=True).map(sorted)


KEYS = keys_of(TOKENS)
FEW_TOKENS = st.lists(st.sampled_from(TOKENS), min_size=2, max_size=4)
KEY_SETS = st.one_of(  # keys of few tokens have much in common
    _sets_of(TOKENS),
    FEW_TOKENS.flatmap(_sets_of),
    FEW_TOKENS.flatmap(lambda few: _sets_of([*few, "A", "a", "/"])),
)


def text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def is_unicode(name: bytes) -> bool:
    return name == name.decode("utf-8", "ignore").encode()


_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{device}{n}" for device in ("COM", "LPT") for n in range(1, 10))}


def refusal(name: bytes, rules: Rules) -> str:
    """Why a target would not take one name; "" when it would."""
    if len(name) > rules.max_bytes:
        return "bytes"
    if rules.unicode_only and not is_unicode(name):
        return "not UTF-8"
    if rules.ascii_only and not name.isascii():
        return "not ASCII"
    characters = text(name)
    stored = nfd(characters) if rules.folds_normalization else characters
    units = sum(2 if ord(character) > 0xFFFF else 1 for character in stored)
    if rules.max_utf16 and units > rules.max_utf16:
        return "UTF-16 units"
    if any(character in characters for character in rules.forbidden):
        return "forbidden character"
    if rules.trims_end and characters[-1] in ". ":
        return "trimmed"
    if rules.has_device_names and characters.split(".")[0].rstrip().upper() in _DEVICES:
        return "device"
    if any(characters.lower().startswith(beginning) for beginning in rules.kept):
        return "kept"
    return ""
