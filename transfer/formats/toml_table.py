"""A strict reader for TOML written by people: every wrong field is one error that says what is allowed.

A `TomlTable` hands out fields one by one, each with its type and range, and `close` refuses what nobody asked
for, with the nearest known name. Every error names the file and the field, as in
"disk.toml: pack.chunk_size: ...".

Does not: know any field. `profile` does.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from typing import Any, Final, TypeVar

from transfer.core.sizes import RATE_FORMS, SIZE_FORMS, parse_rate, parse_size
from transfer.errors import UsageError

MAX_TOML_BYTES: Final = 64 * 1024
MAX_TEXT_CHARACTERS: Final = 1000

_T = TypeVar("_T", bound=object)
_TYPE_NAMES: Final = {str: "a text in quotes", int: "a whole number", bool: "true or false", dict: "a table"}


class TomlTable:
    """One table of a TOML file, whose fields are taken one by one.

    Args:
        values: the parsed table.
        where: the file, named in errors.
        path: the table's dotted name with a dot at its end; empty for the file itself.
    """

    def __init__(self, values: dict[str, Any], where: str, path: str = "") -> None:
        self._values = values
        self._where = where
        self._path = path
        self._known: set[str] = set()

    @classmethod
    def parse(cls, text: bytes, where: str) -> TomlTable:
        """Read a whole file.

        Raises:
            UsageError: the file is too large, not UTF-8 or not TOML; says where.
        """
        if len(text) > MAX_TOML_BYTES:
            raise UsageError(f"{where}: larger than {MAX_TOML_BYTES:,} bytes", remedy="give a device profile")
        try:
            return cls(tomllib.loads(text.decode()), where)
        except UnicodeDecodeError as error:
            raise UsageError(
                f"{where}: not UTF-8 at byte {error.start}", remedy="save the file as UTF-8"
            ) from None
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise UsageError(
                f"{where}: not TOML: {error}", remedy="see https://toml.io for its rules"
            ) from None

    def error(self, field: str, what: str, remedy: str = "") -> UsageError:
        """The error that `field` of this table is wrong."""
        return UsageError(f"{self._where}: {self._path}{field}: {what}", remedy=remedy)

    def text(self, field: str, default: str | None = None) -> str:
        """One line of text without control characters."""
        value = self._take(field, str, default)
        if len(value) > MAX_TEXT_CHARACTERS or not value.isprintable():
            limit = f"{MAX_TEXT_CHARACTERS:,}"
            raise self.error(
                field, f"must be one line of at most {limit} characters, without control characters"
            )
        return value

    def choice(self, field: str, allowed: Sequence[str], default: str | None = None) -> str:
        """One word of a list."""
        value = self._take(field, str, default)
        if value not in allowed:
            words = ", ".join(f'"{word}"' for word in allowed)
            raise self.error(field, f"{value[:80]!r} is not allowed", f"allowed are {words}")
        return value

    def integer(self, field: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number from `low` to `high`."""
        value = self._take(field, int, default)
        if not low <= value <= high:
            raise self.error(field, f"{value} is out of range", f"allowed is {low:,} to {high:,}")
        return value

    def flag(self, field: str, default: bool | None = None) -> bool:
        """True or false."""
        return self._take(field, bool, default)

    def size(self, field: str, default: str | None = None, *, word: str | None = None) -> int | None:
        """A SIZE in quotes, in bytes; None for the one `word` that may stand in its place."""
        value = self._take(field, str, default)
        if value == word:
            return None
        try:
            return parse_size(value)
        except UsageError:
            remedy = f'write "{word}", or: {SIZE_FORMS}' if word else SIZE_FORMS
            raise self.error(field, f"{value[:80]!r} is not a size", remedy) from None

    def size_in(self, field: str, low: int, high: int, default: str | None = None) -> int:
        """A SIZE in quotes, `low` to `high` bytes."""
        value = self.size(field, default)
        if value is None or not low <= value <= high:
            raise self.error(
                field, f"{value} bytes are out of range", f"allowed is {low:,} to {high:,} bytes"
            )
        return value

    def rate(self, field: str) -> int:
        """A RATE in quotes, in bytes a second."""
        value = self._take(field, str, None)
        try:
            return parse_rate(value)
        except UsageError:
            raise self.error(field, f"{value[:80]!r} is not a rate", RATE_FORMS) from None

    def table(self, field: str) -> TomlTable:
        """A table within; a missing one reads as empty, so that its missing fields are named."""
        return TomlTable(self._take(field, dict, {}), self._where, f"{self._path}{field}.")

    def close(self) -> None:
        """Refuse fields that nobody took.

        Raises:
            UsageError: there is an unknown field; names the nearest known one and all of them.
        """
        unknown = sorted(set(self._values) - self._known)
        if unknown:
            nearest = difflib.get_close_matches(unknown[0], self._known, n=1)
            meant = f"did you mean {nearest[0]!r}? " if nearest else ""
            known = ", ".join(sorted(self._known))
            raise self.error(unknown[0][:80], "unknown field", f"{meant}known here: {known}")

    def _take(self, field: str, kind: type[_T], default: _T | None) -> _T:
        self._known.add(field)
        value = self._values.get(field, default)
        if value is None:
            raise self.error(field, f"is missing, it must be {_TYPE_NAMES[kind]}")
        # A bool is an int in Python, but `level = true` is a mistake.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.error(field, f"must be {_TYPE_NAMES[kind]}, not {str(value)[:80]!r}")
        return value
