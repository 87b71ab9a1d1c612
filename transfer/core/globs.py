"""One rclone glob: parsed once, then matched against paths and asked about directories.

Syntax (rclone's documentation, "Filtering"), over paths relative to the source, "/" between names:

    *        any run of characters within one name        {a,b}    one of the patterns, they may nest
    **       any run of characters, "/" included          {{re}}   a regular expression
    ?        one character, not "/"                       \\x       the character itself
    [a-z]    one character of the set, [^a-z] none of it
    /x       anchored at the source; without the slash a pattern matches the end of a path, from some "/" on

A set and a regular expression may match "/", as in rclone.

Differences, each a refusal or a wider match, never a file left out in silence:
    - A letter or digit after a backslash is refused: rclone hands it to Go's regular expressions.
    - `**` matches a newline too; Go's dot does not.
    - {{re}} is Python's regular expression syntax; a leading (?i) and its kin are understood as in Go.

Does not: decide anything. `filters` puts signs and an order to globs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from transfer.errors import UsageError

# Longer patterns are an accident (a file given for a pattern), and cost time on every path.
MAX_GLOB_CHARACTERS: Final = 4096

_REMEDY: Final = (
    "patterns are rclone's: * ** ? [set] {a,b} {{expression}}, a backslash before a special character"
)

_ANY_RUN: Final = "(?s:.*)"
_LEADING_FLAGS: Final = re.compile(r"\(\?([ims]+)\)")
_SET_CLASS: Final = re.compile(r"\[:(\w+):\]")
_SET_CLASSES: Final = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": r"\t ",
    "digit": "0-9",
    "lower": "a-z",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": r"0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of a glob outside of all braces, and its regular expression.

    Attributes:
        kind: "one" character but no slash; "slash"; "star", a `*`; "run", a `**`; "some" characters, never a
            slash; "free", what may match a slash somewhere.
        regexp: the expression.
    """

    kind: str
    regexp: str


class Glob:
    """A glob, ready to match.

    Args:
        text: the pattern, without a sign.
        where: the option, or the file and line, it came from: named in errors.

    Raises:
        UsageError: the pattern cannot be understood; says what is wrong with it.
    """

    __slots__ = ("_pattern", "_pieces", "anchored", "text")

    def __init__(self, text: str, where: str) -> None:
        if not text or len(text) > MAX_GLOB_CHARACTERS:
            raise UsageError(
                f"{where}: a pattern has 1 to {MAX_GLOB_CHARACTERS:,} characters, not {len(text):,}"
            )
        self.text = text
        self.anchored = text.startswith("/")
        try:
            self._pieces = _Parser(text.removeprefix("/")).pieces()
            # What begins with ** matches from the start, if at all: no need to try from each slash.
            starts = self.anchored or self._pieces[:1] == [_RUN]
            self._pattern = re.compile(("^" if starts else "(?:^|/)") + _join(self._pieces) + r"\Z", re.ASCII)
        except (_GlobError, re.error, OverflowError, RecursionError) as error:
            raise UsageError(f"{where}: the pattern {text!r} is wrong: {error}", remedy=_REMEDY) from error

    def matches(self, path: str) -> bool:
        """Whether the glob matches `path`, relative to the source; a directory's path ends with "/"."""
        return self._pattern.search(path) is not None

    @property
    def covers_below(self) -> bool:
        """Whether everything below a matched directory is matched as well: the pattern ends with `**`."""
        return bool(self._pieces) and self._pieces[-1].kind == "run"

    def parents(self) -> re.Pattern[str] | None:
        """What matches each directory, written with its "/", that may hold a match; None: any directory may.

        A pattern that is not anchored may match below any directory. An anchored one is cut after each of its
        slashes; from the first piece on that may match a slash by itself, anything may follow.
        """
        if not self.anchored:
            return None
        levels = ["(?!)"]  # of "/x", whose matches lie in the source itself, no directory is a parent
        head = ""
        for piece in self._pieces:
            if piece.kind in ("run", "free"):
                levels.append(head + _ANY_RUN + "/")
                break
            head += piece.regexp
            if piece.kind == "slash":
                levels.append(head)
        return re.compile("^(?:" + "|".join(levels) + r")\Z", re.ASCII)


_STAR: Final = _Piece("star", "[^/]*")
_RUN: Final = _Piece("run", _ANY_RUN)


def _join(pieces: list[_Piece]) -> str:
    """The regular expression of a row of pieces, made so that stars cannot make it slow.

    Between two stars of one kind, single characters may be taken where they first occur, for good: what comes
    later fits as well behind them, since the second star takes up what is between. Without that, the time for
    `*a*a*a*b` grows with the power of its stars, on names that somebody else may have chosen.
    """
    body, at = "", 0
    while at < len(pieces):
        piece, end = pieces[at], at + 1
        if piece.kind in ("star", "run"):
            fixed = ("one",) if piece.kind == "star" else ("one", "slash")
            while end < len(pieces) and pieces[end].kind in fixed:
                end += 1
            if end < len(pieces) and pieces[end] == piece:
                lazy = "[^/]*?" if piece.kind == "star" else "(?s:.*?)"
                body += f"(?>{lazy}{''.join(part.regexp for part in pieces[at + 1 : end])})"
                at = end
                continue
        body += piece.regexp
        at += 1
    return body


class _GlobError(Exception):
    """What is wrong with a pattern."""


class _Parser:
    """Reads one glob from left to right; `_at` is the next character to read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def pieces(self) -> list[_Piece]:
        """All pieces of the pattern."""
        found = []
        while self._at < len(self._text):
            found.append(self._piece())
        return found

    def _piece(self) -> _Piece:
        character = self._text[self._at]
        if character in "}]":
            raise _GlobError(f"a {character!r} without its opening bracket")
        if self._text.startswith("{{", self._at):
            return self._expression()
        readers = {"*": self._stars, "[": self._set, "{": self._choice, "\\": self._escaped}
        if character in readers:
            return readers[character]()
        self._at += 1
        if character == "/":
            return _Piece("slash", "/")
        return _Piece("one", "[^/]" if character == "?" else re.escape(character))

    def _stars(self) -> _Piece:
        start = self._at
        while self._text.startswith("*", self._at):
            self._at += 1
        if self._at - start > 2:
            raise _GlobError("more than two stars in a row")
        return _RUN if self._at - start == 2 else _STAR

    def _escaped(self) -> _Piece:
        character = self._literal()
        return _Piece("slash" if character == "/" else "one", re.escape(character))

    def _literal(self) -> str:
        """One character of its own meaning, with or without a backslash before it."""
        escaped = self._text[self._at] == "\\"
        self._at += 1 + escaped
        if self._at > len(self._text):
            raise _GlobError("a backslash at the end")
        character = self._text[self._at - 1]
        if escaped and character.isalnum():
            raise _GlobError(f"'\\{character}' has no meaning here, use a set or {{{{expression}}}}")
        return character

    def _choice(self) -> _Piece:
        self._at += 1
        kind, options = "some", [""]
        while not self._text.startswith("}", self._at):
            if self._at >= len(self._text):
                raise _GlobError("a '{' without its '}'")
            if self._text[self._at] == ",":
                self._at += 1
                options.append("")
                continue
            piece = self._piece()
            options[-1] += piece.regexp
            kind = "free" if piece.kind in ("slash", "run", "free") else kind
        self._at += 1
        return _Piece(kind, "(?:" + "|".join(options) + ")")

    def _expression(self) -> _Piece:
        end = self._text.find("}}", self._at)
        if end < 0:
            raise _GlobError("a '{{' without its '}}'")
        # Of "}}}" the last two close the expression: it may itself end with a brace.
        while self._text.startswith("}", end + 2):
            end += 1
        body = self._text[self._at + 2 : end]
        self._at = end + 2
        # Go takes flags in the middle of an expression, Python as those of a group.
        flags = _LEADING_FLAGS.match(body)
        opening = f"(?{flags[1]}:" if flags else "(?:"
        body = body[flags.end() if flags else 0 :]
        re.compile(body)  # alone, so that "a)|(b" cannot close the group it is put into
        return _Piece("free", f"{opening}{body})")

    def _set(self) -> _Piece:
        self._at += 1
        negated = self._text.startswith("^", self._at)
        self._at += negated
        items = ""
        while not self._text.startswith("]", self._at):
            if self._at >= len(self._text):
                raise _GlobError("a '[' without its ']'")
            items += self._set_item()
        if not items:
            raise _GlobError("an empty set []")
        self._at += 1
        regexp = f"[{'^' * negated}{items}]"
        return _Piece("free" if re.match(regexp, "/") else "one", regexp)

    def _set_item(self) -> str:
        named = _SET_CLASS.match(self._text, self._at)
        if named and named[1] in _SET_CLASSES:
            self._at = named.end()
            return _SET_CLASSES[named[1]]
        if self._text[self._at] == "[":
            raise _GlobError(
                "a '[' inside of a set; the classes are " + ", ".join(f"[:{c}:]" for c in _SET_CLASSES)
            )
        first = self._literal()
        if not self._text.startswith("-", self._at) or self._text.startswith("-]", self._at):
            return re.escape(first)
        self._at += 1
        if self._at >= len(self._text):
            raise _GlobError("a '[' without its ']'")
        return f"{re.escape(first)}-{re.escape(self._literal())}"
