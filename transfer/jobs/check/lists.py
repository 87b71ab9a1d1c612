"""Files that name every entry: rclone's marks for people and scripts, JSON Lines for programs.

    = same    + missing in the target    - extra in the target    * different    ! not proved

A path of which a line cannot tell where it ends, or that would do something to a terminal, is written with
escapes; `--results` has every path exactly.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO, Self

import msgspec
from msgspec import Struct

from transfer.core.paths import display, to_text
from transfer.errors import UsageError
from transfer.jobs.check.results import How, Seen, State

MARKS: dict[State, bytes] = {
    "same": b"=",
    "missing": b"+",
    "extra": b"-",
    "different": b"*",
    "unproved": b"!",
}


class Line(Struct, frozen=True, omit_defaults=True):
    """One entry of `--results`; `size_bytes` is left out where it is 0."""

    state: State
    path: str = ""
    path_base64: str = ""
    how: How | None = None
    reason: str = ""
    size_bytes: int = 0


@dataclass(frozen=True)
class ListPaths:
    """Where lists go; "-" is standard output, "" nowhere.

    Attributes:
        combined: all entries with their marks.
        results: all entries as JSON Lines.
        plain: by state, the paths alone.
    """

    combined: str = ""
    results: str = ""
    plain: tuple[tuple[State, str], ...] = ()


class Lists:
    """The open files; a context manager that closes them.

    Raises:
        UsageError: one cannot be written.
    """

    def __init__(self, paths: ListPaths) -> None:
        self._stack = ExitStack()
        try:
            self._combined = self._open(paths.combined)
            self._results = self._open(paths.results)
            self._plain = {state: file for state, path in paths.plain if (file := self._open(path))}
        except BaseException:
            self._stack.close()
            raise
        self._is_idle = not (self._combined or self._results or self._plain)

    def write(self, seen: Seen) -> None:
        """Name one entry.

        Raises:
            OSError: the disk is full or failed.
        """
        mark = MARKS.get(seen.state)
        if self._is_idle or mark is None:
            return
        plain = self._plain.get(seen.state)
        if self._combined or plain:
            line = _one_line(seen.path)
            if self._combined:
                self._combined.write(mark + b" " + line)
            if plain:
                plain.write(line)
        if self._results:
            text, encoded = to_text(seen.path)
            told = Line(seen.state, text, encoded, seen.how, seen.reason, seen.size_bytes)
            self._results.write(msgspec.json.encode(told) + b"\n")

    def _open(self, path: str) -> BinaryIO | None:
        if not path:
            return None
        if path == "-":
            self._stack.callback(sys.stdout.buffer.flush)
            return sys.stdout.buffer
        try:
            return self._stack.enter_context(open(path, "wb"))
        except OSError as error:
            what = f"cannot write {path}: {error.strerror}"
            raise UsageError(what, remedy="name a file in a folder that may be written to") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()


def _one_line(path: bytes) -> bytes:
    try:
        is_plain = path.decode().isprintable()
    except UnicodeDecodeError:
        is_plain = False
    return (path if is_plain else display(path).encode()) + b"\n"
