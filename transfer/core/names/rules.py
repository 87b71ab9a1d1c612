"""What a target demands of the names in it."""

from __future__ import annotations

from dataclasses import dataclass

from transfer.core.paths import MAX_COMPONENT_BYTES

MIN_NAME_LENGTH = 64
"""No rules are for shorter names than that: marks, a number and some of the name have to fit."""

_WINDOWS_FORBIDDEN = '<>:"|?*\\' + "".join(map(chr, range(1, 32)))


@dataclass(frozen=True)
class Rules:
    """What a target demands of one name, beyond what FORMAT.md section 5 demands anyway.

    Attributes:
        max_bytes: of UTF-8 in a name; MIN_NAME_LENGTH to 255.
        max_utf16: UTF-16 units in a name, decomposed where the target decomposes; 0: not counted.
        forbidden: characters that no name holds.
        has_device_names: CON, COM1 and their like are no files, whatever extension is behind them.
        trims_end: dots and spaces at the end of a name are cut off.
        has_short_aliases: a name like LONGNA~1.TXT may be the other name of another file.
        unicode_only: names are UTF-8.
        ascii_only: and no others than ASCII, as where FAT is mounted for an old character set.
        folds_case: names that differ in case alone are the same.
        folds_normalization: names that are canonically equivalent (NFC, NFD) are the same.
        folds_compatibility: so are those that are compatible (NFKC, NFKD).
        kept: beginnings of names that whoever restores keeps for files of its own.
    """

    max_bytes: int = MAX_COMPONENT_BYTES
    max_utf16: int = 0
    forbidden: str = ""
    has_device_names: bool = False
    trims_end: bool = False
    has_short_aliases: bool = False
    unicode_only: bool = False
    ascii_only: bool = False
    folds_case: bool = False
    folds_normalization: bool = False
    folds_compatibility: bool = False
    kept: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not MIN_NAME_LENGTH <= self.max_bytes <= MAX_COMPONENT_BYTES:
            raise ValueError(f"max_bytes is {self.max_bytes}, not {MIN_NAME_LENGTH} to {MAX_COMPONENT_BYTES}")
        if self.max_utf16 and self.max_utf16 < MIN_NAME_LENGTH:
            raise ValueError(f"max_utf16 is {self.max_utf16}, below {MIN_NAME_LENGTH}")

    @property
    def folds(self) -> bool:
        """Whether different names may be the same to the target."""
        return self.folds_case or self.folds_normalization or self.folds_compatibility


POSIX = Rules()
"""Any bytes but "/" and NUL: Linux file systems."""

MEMBERS = Rules(unicode_only=True)
"""Member names in a tar: as POSIX has them, and text."""

WINDOWS = Rules(
    max_utf16=255,
    forbidden=_WINDOWS_FORBIDDEN,
    has_device_names=True,
    trims_end=True,
    has_short_aliases=True,
    unicode_only=True,
    folds_case=True,
)
"""NTFS, exFAT and FAT, wherever they are mounted: the disk may be read on Windows later."""

MACOS = Rules(max_utf16=255, unicode_only=True, folds_case=True, folds_normalization=True)
"""APFS and HFS+."""
