"""What the file system of the directory makes of names: tried out in a folder that is removed again."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from transfer.core.names.facts import (
    ALIAS_TO_TRY,
    BEYOND_ASCII_TO_TRY,
    BYTES_TO_TRY,
    CASE_TO_TRY,
    COMPATIBILITY_TO_TRY,
    FORBIDDEN_TO_TRY,
    NORMALIZATION_TO_TRY,
    TRIMMED_TO_TRY,
    Facts,
)
from transfer.core.names.rules import POSIX

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def facts_of(directory: int, name: bytes) -> Facts:
    """Try names in a new folder `name` of the directory.

    Raises:
        OSError: nothing can be written there.
    """
    os.mkdir(name, 0o700, dir_fd=directory)
    try:
        folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            return _facts(folder)
        finally:
            os.close(folder)
    finally:
        with contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=directory)


def _facts(folder: int) -> Facts:
    return Facts(
        folds_case=_are_one(folder, CASE_TO_TRY),
        folds_normalization=_are_one(folder, NORMALIZATION_TO_TRY),
        folds_compatibility=_are_one(folder, COMPATIBILITY_TO_TRY),
        has_short_aliases=_are_one(folder, ALIAS_TO_TRY),
        forbids="".join(
            character for character in FORBIDDEN_TO_TRY if not _is_kept(folder, f"transfer-{character}-x")
        ),
        trims_end=not _is_kept(folder, TRIMMED_TO_TRY),
        unicode_only=not _is_kept(folder, BYTES_TO_TRY),
        ascii_only=not _is_kept(folder, BEYOND_ASCII_TO_TRY),
        max_name_bytes=_longest(folder),
    )


def _are_one(folder: int, pair: tuple[str, str]) -> bool:
    """Whether the second name is there where the first was made."""
    first, second = (name.encode() for name in pair)
    with _made(folder, first) as is_made:
        return is_made and os.access(second, os.F_OK, dir_fd=folder, follow_symlinks=False)


def _is_kept(folder: int, name: str | bytes) -> bool:
    """Whether a file can have this name, and no other instead."""
    spelled = name.encode() if isinstance(name, str) else name
    with _made(folder, spelled) as is_made:
        return is_made and os.fsencode(os.listdir(folder)[0]) == spelled


@contextlib.contextmanager
def _made(folder: int, name: bytes) -> Iterator[bool]:
    try:
        os.close(os.open(name, _FLAGS, 0o600, dir_fd=folder))
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        for there in os.listdir(folder):
            os.unlink(os.fsencode(there), dir_fd=folder)


def _longest(folder: int) -> int:
    try:
        return os.fstatvfs(folder).f_namemax or POSIX.max_bytes
    except OSError:
        return POSIX.max_bytes
