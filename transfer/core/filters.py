"""Which files of a source are taken: rclone's filter rules.

Rules are tried in order and the first that matches decides; a file that no rule matches is taken. As rclone
documents it, the order is --include, --include-from, --exclude, --exclude-from, --filter, --filter-from, each
as given; and any include adds a last rule that leaves out everything else. `+ x` includes, `- x` excludes and
`!` forgets all rules before it. `- x/` leaves out the directory x and all below it; `+ x/` takes no file, it
says that the directory is to be visited.

Guarantee: `may_descend` is about time, never about the outcome. It is False only where `accepts_file` is
False for every path below, so a walk that prunes and a flat listing take the same files.

That is a difference to rclone: there `--include a/b.jpg`, not anchored, takes a/b.jpg but not x/a/b.jpg: x/
is not visited, though its documentation says that a pattern matches the end of a path. Here it is visited.

Paths are bytes, relative to the source, "/" between names, no leading "/". They need not be UTF-8: each stray
byte counts as one character. Does not: open the files that --filter-from and its kin name; the caller brings
their text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from transfer.core.globs import Glob
from transfer.core.sizes import format_size_exact
from transfer.errors import UsageError

# Every rule costs time on every path, and a file of a million rules is not one of rules.
MAX_RULES: Final = 10_000

_RULE_REMEDY: Final = "a rule is '+ pattern', '- pattern' or '!'"


@dataclass(frozen=True, slots=True)
class RuleFile:
    """The text of a file of rules; `name` appears in errors."""

    name: str
    text: str

    def lines(self) -> Iterator[tuple[str, str]]:
        """Each rule and where it stands; empty lines and comments (# or ;) are passed over."""
        for number, line in enumerate(self.text.split("\n"), start=1):
            rule = line.strip()
            if rule and rule[0] not in "#;":
                yield rule, f"{self.name}, line {number}"


@dataclass(frozen=True, slots=True)
class _FileRule:
    includes: bool
    glob: Glob


@dataclass(frozen=True, slots=True)
class _DirectoryRule:
    includes: bool
    pattern: re.Pattern[str] | Glob | None  # None matches every directory

    def matches(self, directory: str) -> bool:
        if isinstance(self.pattern, Glob):
            return self.pattern.matches(directory)
        return self.pattern is None or self.pattern.search(directory) is not None


@dataclass(slots=True)
class Filter:
    """The rules of one command; build it with `Filter.parse`.

    Attributes:
        is_empty: there is no rule and no size limit: every file is taken and nobody need ask.
        min_size_bytes: smaller files are left out.
        max_size_bytes: larger files are left out.
    """

    min_size_bytes: int | None = None
    max_size_bytes: int | None = None
    is_empty: bool = True
    _files: list[_FileRule] = field(default_factory=list)
    _directories: list[_DirectoryRule] = field(default_factory=list)

    @classmethod
    def parse(
        cls,
        *,
        include: Iterable[str] = (),
        include_from: Iterable[RuleFile] = (),
        exclude: Iterable[str] = (),
        exclude_from: Iterable[RuleFile] = (),
        rules: Iterable[str] = (),
        rules_from: Iterable[RuleFile] = (),
        min_size_bytes: int | None = None,
        max_size_bytes: int | None = None,
    ) -> Filter:
        """Build the filter of a command from its options' values; `rules` are those of --filter.

        Raises:
            UsageError: a pattern or rule that cannot be understood, naming option or file and line.
        """
        if min_size_bytes is not None and max_size_bytes is not None and min_size_bytes > max_size_bytes:
            low, high = format_size_exact(min_size_bytes), format_size_exact(max_size_bytes)
            raise UsageError(f"--min-size {low} is larger than --max-size {high}: no file can pass")
        made = cls(min_size_bytes, max_size_bytes)
        include, include_from = list(include), list(include_from)
        for pattern, where in _sourced("--include", include, include_from):
            made._add(True, pattern, where)
        for pattern, where in _sourced("--exclude", exclude, exclude_from):
            made._add(False, pattern, where)
        for rule, where in _sourced("--filter", rules, rules_from):
            made._add_rule(rule, where)
        if include or include_from:
            made._add(False, "/**", "--include")
        made.is_empty = not made._files and not made._directories and min_size_bytes is max_size_bytes is None
        return made

    def accepts_file(self, path: bytes, size_bytes: int | None = None) -> bool:
        """Whether the file is taken; a size that is not known passes the size limits."""
        if size_bytes is not None:
            if self.min_size_bytes is not None and size_bytes < self.min_size_bytes:
                return False
            if self.max_size_bytes is not None and size_bytes > self.max_size_bytes:
                return False
        if not self._files:
            return True
        text = path.decode("utf-8", "surrogateescape")
        return next((rule.includes for rule in self._files if rule.glob.matches(text)), True)

    def may_descend(self, directory: bytes) -> bool:
        """Whether a walk has to visit the directory; its path with or without the "/" at the end."""
        if not self._directories or not directory:
            return True
        text = directory.rstrip(b"/").decode("utf-8", "surrogateescape") + "/"
        return next((rule.includes for rule in self._directories if rule.matches(text)), True)

    def _add_rule(self, rule: str, where: str) -> None:
        if rule == "!":
            self._files.clear()
            self._directories.clear()
        elif rule[:2] in ("+ ", "- "):
            self._add(rule[0] == "+", rule[2:], where)
        else:
            raise UsageError(f"{where}: {rule[:80]!r} is not a rule", remedy=_RULE_REMEDY)

    def _add(self, includes: bool, pattern: str, where: str) -> None:
        if len(self._files) >= MAX_RULES:
            raise UsageError(
                f"{where}: more than {MAX_RULES:,} filter rules", remedy="use patterns that match more"
            )
        is_directory_rule = pattern.endswith("/") and not pattern.endswith("\\/")
        if is_directory_rule and includes:
            self._directories.append(_DirectoryRule(True, Glob(pattern, where)))
            return
        glob = Glob(pattern + "**" if is_directory_rule else pattern, where)
        self._files.append(_FileRule(includes, glob))
        if includes:
            self._directories.append(_DirectoryRule(True, glob.parents()))
        elif pattern == "*":
            self._directories.append(_DirectoryRule(False, None))
        elif glob.covers_below:
            self._directories.append(_DirectoryRule(False, glob))


def _sourced(option: str, given: Iterable[str], files: Iterable[RuleFile]) -> Iterator[tuple[str, str]]:
    """Each pattern or rule of an option, then those of its files, with where it stands."""
    for text in given:
        yield text, option
    for file in files:
        yield from file.lines()
