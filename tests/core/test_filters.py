"""Filters take the files that rclone takes: compared with the real program, over generated rules."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sysconfig
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from transfer.core.filters import Filter, RuleFile
from transfer.errors import UsageError

FOLDERS = ["", "a/", "b/", "a/b/", "b/a/", "a/b/a/", "é/", "a.b/", "b/[x]/"]
NAMES = ["f", "fa", "f.b", "f.txt", "fé", "f7", "[f]", "f f", "f{a}", "fff"]
PATHS = [folder + name for folder in FOLDERS for name in NAMES]

TOKENS = [
    "a",
    "b",
    "f",
    "x",
    "é",
    "7",
    ".",
    " ",
    "*",
    "**",
    "?",
    "/",
    "[ab]",
    "[^a]",
    "[a-f7]",
    "[[:digit:]]",
]
TOKENS += [
    "{a,b}",
    "{a,{b,f}}",
    "{a/b,f}",
    "{**,f}",
    "{{a|f}}",
    "{{(?i)F}}",
    "\\[",
    "\\*",
    "(",
    "$",
    "}",
    "*a*",
    "**a**",
    "*.*",
]
# No lone "{": two of them would make an expression of what follows, and Go's are not quite Python's.
PATTERNS = st.lists(st.sampled_from(TOKENS), min_size=1, max_size=6).map("".join)
RULES = st.lists(
    st.one_of(st.just("!"), st.tuples(st.sampled_from("+-"), PATTERNS).map(" ".join)), max_size=5
)

Rclone = Callable[[dict[str, list[str]]], list[str] | None]


@pytest.fixture(scope="module")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rclone]:
    """Lists a tree with filter options as rclone's own server does it; None where it refuses them."""
    tree = tmp_path_factory.mktemp("tree")
    for path in PATHS:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).touch()
    program = Path(sysconfig.get_path("scripts")) / "rclone"
    command = [program, "--config", os.devnull, "rcd", "--rc-no-auth", "--rc-addr", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            address = next(found[0] for line in server.stderr if (found := re.search(r"http://\S+/", line)))
            yield lambda options: _list(address, tree, options)
        finally:
            server.terminate()


def _list(address: str, tree: Path, options: dict[str, list[str]]) -> list[str] | None:
    query: dict[str, Any] = {"fs": str(tree), "remote": "", "_filter": options}
    query["opt"] = {"recurse": True, "filesOnly": True, "noModTime": True, "noMimeType": True}
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}operations/list", json.dumps(query).encode(), headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return sorted(entry["Path"] for entry in json.load(answer)["list"])
    except urllib.error.HTTPError as error:
        with error:
            assert re.search(rb"in glob|too many stars|bad glob|malformed rule", error.read())
        return None


def flat(rules: Filter) -> list[str]:
    return sorted(path for path in PATHS if rules.accepts_file(path.encode()))


def walked(rules: Filter) -> list[str]:
    def is_reached(path: str) -> bool:
        parts = path.split("/")[:-1]
        return all(rules.may_descend("/".join(parts[:depth]).encode()) for depth in range(1, len(parts) + 1))

    return sorted(path for path in flat(rules) if is_reached(path))


def parse_or_refuse(**options: list[str]) -> Filter | None:
    try:
        return Filter.parse(**options)
    except UsageError:
        return None


@settings(max_examples=300, deadline=None)
@given(RULES)
@example(["+ a/f", "- *"])
@example(["- a**[^b]"])
@example(["- **.*t"])
@example(["- **f*f**f"])
@example(["- **{fa,f}**a"])
def test_the_files_are_those_that_rclone_takes(rclone: Rclone, rules: list[str]) -> None:
    # A rule that matches nothing, but of which rclone cannot tell where, makes it visit every directory.
    everywhere = "+ {{no such name}}"
    visited = [
        everywhere,
        *(part for rule in rules for part in ((rule, everywhere) if rule == "!" else (rule,))),
    ]
    theirs = rclone({"FilterRule": visited})
    ours = parse_or_refuse(rules=rules)
    assert (ours is None) == (theirs is None)
    assert ours is None or flat(ours) == theirs


@settings(max_examples=200, deadline=None)
@given(st.lists(PATTERNS, max_size=2), st.lists(PATTERNS, max_size=2), RULES)
@example(["f7"], ["a/"], ["!", "- *b"])
@example([], ["/a/b/"], ["+ /a/b/f"])
def test_options_have_rclones_order_and_prune_no_more(
    rclone: Rclone, include: list[str], exclude: list[str], rules: list[str]
) -> None:
    ours = parse_or_refuse(include=include, exclude=exclude, rules=rules)
    assume(ours is not None)
    assert ours is not None
    theirs = rclone({"IncludeRule": include, "ExcludeRule": exclude, "FilterRule": rules})
    assert theirs is not None
    assert set(theirs) <= set(walked(ours))
    included = include + [rule[2:] for rule in rules if rule[0] == "+"]
    if not any(rclone_prunes_too_much(pattern) for pattern in included) and "[^" not in "".join(
        exclude + rules
    ):
        assert theirs == walked(ours)


def rclone_prunes_too_much(pattern: str) -> bool:
    """An include of several names that is not anchored, or may match a slash by a set."""
    return "[^" in pattern or (not pattern.startswith("/") and ("/" in pattern or "**" in pattern))


@settings(max_examples=300, deadline=None)
@given(st.lists(PATTERNS, max_size=2), RULES)
@example(["/a{a/b,f}/f"], [])
@example(["/{a/b,f}/f"], [])
@example(["/a[^x]b/f"], [])
@example(["/{{a.b}}/f"], [])
@example([], ["- a/", "+ /a/f", "- *"])
@example([], ["- a**[^b]"])
def test_pruning_never_changes_the_outcome(include: list[str], rules: list[str]) -> None:
    ours = parse_or_refuse(include=include, rules=rules)
    assume(ours is not None)
    assert ours is not None
    assert walked(ours) == flat(ours)


@pytest.mark.parametrize(
    ("options", "visited", "pruned"),
    [
        ({"include": ["/a/b/*.txt"]}, ["a", "a/b", "a/b/"], ["b", "a/c", "a/b/c", "x/a"]),
        ({"include": ["/a/**/f"]}, ["a", "a/x/y"], ["b"]),
        ({"include": ["*.txt"]}, ["a", "a/b"], []),
        ({"exclude": ["b/"]}, ["a", "a/bb"], ["b", "a/b", "a/b/c"]),
        ({"exclude": ["/b/**"]}, ["a/b"], ["b", "b/c"]),
        ({"exclude": ["*"]}, [], ["a", "a/b"]),
        ({"rules": ["+ /keep/", "- /**"]}, ["keep"], ["keep/x", "other"]),
    ],
)
def test_a_walk_visits_no_more_than_it_must(options: Any, visited: list[str], pruned: list[str]) -> None:
    made = Filter.parse(**options)
    assert made.may_descend(b"")
    assert all(made.may_descend(directory.encode()) for directory in visited)
    assert not any(made.may_descend(directory.encode()) for directory in pruned)


def test_rules_of_files_come_after_those_of_their_option_without_comments() -> None:
    made = Filter.parse(
        rules=["+ keep.bak"],
        rules_from=[RuleFile("rules.txt", "# copies\n\n  - *.bak  \r\n; more\n- /tmp/\n")],
    )
    taken = [path for path in (b"keep.bak", b"x.bak", b"tmp/x", b"x") if made.accepts_file(path)]
    assert taken == [b"keep.bak", b"x"]


def test_paths_that_are_not_utf_8_can_be_matched() -> None:
    pattern = os.fsdecode(b"/caf\xe9/*")
    made = Filter.parse(include=[pattern, "/?.txt"])
    assert made.accepts_file(b"caf\xe9/x")
    assert made.accepts_file(b"\xff.txt")
    assert not made.accepts_file(b"\xff\xfe.txt")
    assert made.may_descend(b"caf\xe9")


@pytest.mark.parametrize(
    ("pattern", "match"),
    [
        ("*a" * 12 + "*b", b"x/" + b"a" * 12 + b"b"),
        ("*?" * 12 + "b", b"x/" + b"a" * 12 + b"b"),
        ("**a" * 12 + "**b", b"a/" * 12 + b"b"),
        ("/" + "**/a" * 12 + "b", b"x" + b"/a" * 12 + b"b"),
    ],
)
def test_many_stars_take_no_time_on_a_name_made_for_them(pattern: str, match: bytes) -> None:
    made = Filter.parse(include=[pattern])
    assert made.accepts_file(match)
    # Without care each takes longer than anybody, and so the time limit of a test, can wait.
    assert not made.accepts_file(b"a" * 255)
    assert not made.accepts_file(b"a/" * 120 + b"a")


def test_a_newline_in_a_name_is_a_character_like_others() -> None:
    made = Filter.parse(exclude=["/tmp/**"])
    assert not made.accepts_file(b"tmp/a\nb")
    assert not Filter.parse(include=["*.txt"]).accepts_file(b"a.txt\n")


def test_size_limits_include_their_bounds_and_pass_what_is_unknown() -> None:
    made = Filter.parse(min_size_bytes=10, max_size_bytes=20)
    assert [size for size in (9, 10, 20, 21) if made.accepts_file(b"x", size)] == [10, 20]
    assert made.accepts_file(b"x")
    assert made.may_descend(b"a")
    with pytest.raises(UsageError, match="no file can pass"):
        Filter.parse(min_size_bytes=2, max_size_bytes=1)


def test_empty_means_that_nobody_need_ask() -> None:
    assert Filter.parse().is_empty
    assert Filter.parse(rules=["- x", "!"]).is_empty
    assert not Filter.parse(max_size_bytes=0).is_empty
    assert not Filter.parse(include_from=[RuleFile("empty", "")]).is_empty  # an empty list includes nothing
    assert not Filter.parse(rules=["+ x/"]).is_empty


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("[a", "without its ']'"),
        ("a]", "without its opening"),
        ("a}", "without its opening"),
        ("{a", "without its '}'"),
        ("{{a}", "without its '}}'"),
        ("{{a)|(b}}", "unbalanced"),
        ("{{(}}", "unterminated"),
        ("***", "two stars"),
        ("a\\", "at the end"),
        ("\\d", "no meaning"),
        ("[]", "empty set"),
        ("[z-a]", "bad character range"),
        ("[a[b]", "inside of a set"),
        ("[a-", "without its ']'"),
        ("", "1 to 4,096"),
        ("x" * 5000, "1 to 4,096"),
        ("{" * 4000, "wrong"),
    ],
)
def test_a_wrong_pattern_is_one_error_that_says_where_and_why(pattern: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        Filter.parse(
            rules_from=[RuleFile("rules.txt", f"# first\n- x\n+ {pattern}\n")] if pattern else [],
            include=[pattern][: not pattern],
        )
    assert caught.value.what.startswith("rules.txt, line 3: " if pattern else "--include: ")
    assert reason in caught.value.what


@pytest.mark.parametrize("rule", ["x", "+x", "++ x", "+", "!x", "! "])
def test_what_is_no_rule_is_refused(rule: str) -> None:
    with pytest.raises(UsageError, match="is not a rule"):
        Filter.parse(rules=[rule])


def test_a_file_of_too_many_rules_is_refused() -> None:
    with pytest.raises(UsageError, match=r"line 10001: more than 10,000 filter rules"):
        Filter.parse(exclude_from=[RuleFile("huge", "x\n" * 10_001)])
