"""Sets of keys on targets that take different names for the same."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.core.names.targets import FOLDINGS, KEY_SETS, RULES, refusal, text
from transfer.core.names import MACOS, POSIX, WINDOWS, NameMapper, Rules, escape, unescape
from transfer.core.paths import path_defect
from transfer.device.path_table import PathTable


class Rows(dict[bytes, str]):
    """A table in memory."""

    def put(self, path: bytes, value: str, /) -> None:
        self[path] = value


def assigned(keys: list[bytes], rules: Rules) -> dict[bytes, bytes]:
    mapper = NameMapper(rules, Rows())
    return {key: mapper.assign(key) for key in keys}


@pytest.mark.parametrize(
    ("rules", "keys", "paths"),
    [
        (POSIX, [b"A", b"a", b"a/b"], [b"A", b"a", b"a%~1/b"]),
        (WINDOWS, [b"README", b"Readme", b"readme"], [b"README", b"Readme%~1", b"readme%~2"]),
        (WINDOWS, [b"A/x", b"a/x", b"a/y"], [b"A/x", b"a%~1/x", b"a%~1/y"]),
        (WINDOWS, [b"A", b"a/x", b"a/y"], [b"A", b"a%~1/x", b"a%~1/y"]),
        (WINDOWS, [b"A/x", b"a", b"b"], [b"A/x", b"a%~1", b"b"]),
        (WINDOWS, [b"%2e", b"."], [b"%2e", b"%2E%~1"]),
        (WINDOWS, [b"A:", b"a:"], [b"A%3A", b"a%3A%~1"]),
        (MACOS, ["e\u0301".encode(), "\u00e9".encode()], ["e\u0301".encode(), "\u00e9%~1".encode()]),
        (WINDOWS, ["e\u0301".encode(), "\u00e9".encode()], ["e\u0301".encode(), "\u00e9".encode()]),
        (
            WINDOWS,
            [b"a/" + b"X" * 256, b"a/" + b"x" * 256, b"b/" + b"x" * 256],
            [
                b"a/" + b"X" * 242 + b"%+/" + b"X" * 14,
                b"a/" + b"x" * 242 + b"%~1%+/" + b"x" * 14,
                b"b/" + b"x" * 242 + b"%+/" + b"x" * 14,
            ],
        ),
        (
            WINDOWS,
            [b"X" * 256, b"X" * 257, b"x" * 255, b"x" * 256],
            [
                b"X" * 242 + b"%+/" + b"X" * 14,
                b"X" * 242 + b"%+/" + b"X" * 15,
                b"x" * 255,
                b"x" * 242 + b"%~1%+/" + b"x" * 14,
            ],
        ),
    ],
)
def test_examples(rules: Rules, keys: list[bytes], paths: list[bytes]) -> None:
    assert keys == sorted(keys)
    assert list(assigned(keys, rules).values()) == paths


def nodes(paths: list[bytes]) -> list[bytes]:
    """All files and folders that the paths make, each once."""
    made = set(paths)
    for path in paths:
        made |= {path[: i + 1] for i in range(len(path)) if path[i : i + 1] == b"/"}
    return sorted(made)


@pytest.mark.parametrize("target", RULES)
@settings(max_examples=50, deadline=None)
@given(keys=KEY_SETS)
@example(keys=sorted([b"X" * 255, b"x" * 255, b"x" * 255 + b"/b", b"X" * 255 + b"/b", b"x" * 256]))
@example(keys=sorted([b"FOO", b"Foo", b"foo", "foo%\u200d~1".encode(), b"foo%~1", b"foo%~1/", b"foo%~2"]))
@example(keys=sorted([b"a" * 242 + end for end in (b"b" * 20, b"c", b"d" * 20)]))
def test_no_two_keys_are_the_same_to_the_target(target: str, keys: list[bytes]) -> None:
    rules = RULES[target]
    table = Rows()
    mapper = NameMapper(rules, table)
    paths = [mapper.assign(key) for key in keys]
    for key, path in zip(keys, paths, strict=True):
        assert unescape(path) == key
        assert path_defect(path) == ""
        assert {refusal(name, rules) for name in path.split(b"/")} == {""}
    made = nodes(paths)
    for folds in (str.__str__, *FOLDINGS[target]):
        taken = [folds(text(node.removesuffix(b"/"))) for node in made]
        assert len(taken) == len(set(taken)), folds
    assert [mapper.path_of(key) for key in reversed(keys)] == paths[::-1]
    assert list(assigned(keys, rules).values()) == paths


@pytest.mark.parametrize("target", RULES)
@settings(max_examples=20, deadline=None)
@given(keys=KEY_SETS)
def test_numbers_come_only_where_they_must(target: str, keys: list[bytes]) -> None:
    rules = RULES[target]
    paths = assigned(keys, rules)
    for key, path in paths.items():
        if path != escape(key, rules):
            others = [other for other in keys if other != key]
            assert assigned([key], rules)[key] == escape(key, rules)
            assert others, "nothing else has its name"


@settings(max_examples=100, deadline=None)
@given(keys=KEY_SETS, data=st.data())
def test_folders_and_versions(keys: list[bytes], data: st.DataObject) -> None:
    """Folders come by themselves, and a key may come more than once."""
    rules = RULES[data.draw(st.sampled_from(sorted(RULES)))]
    mapper = NameMapper(rules, Rows())
    found: dict[tuple[bytes, bool], bytes] = {}
    for key in keys:
        for is_folder in data.draw(st.lists(st.booleans(), min_size=1, max_size=4)):
            if not is_folder or key.endswith(b"/"):
                path = mapper.assign(key, is_folder=is_folder)
                assert found.setdefault((key, is_folder), path) == path
    paths = list(found.values())
    assert len(nodes(paths)) == len({node.removesuffix(b"/") for node in nodes(paths)})
    for (key, is_folder), path in found.items():
        assert mapper.path_of(key, is_folder=is_folder) == path
        assert unescape(path) == key
        assert path.endswith(b"/") == is_folder


@pytest.mark.parametrize("rules", [POSIX, WINDOWS], ids=["posix", "windows"])
def test_a_key_that_is_a_folder_and_a_file(rules: Rules) -> None:
    mapper = NameMapper(rules, Rows())
    mapper.assign(b"a")
    for _ in range(2):
        assert mapper.assign(b"a/", is_folder=True) == b"a%~1/"
        assert mapper.assign(b"a/") == b"a%~1/%"
    assert mapper.path_of(b"a/", is_folder=True) == b"a%~1/"
    assert mapper.path_of(b"a/") == b"a%~1/%"


def test_many_like_each_other_cost_no_search() -> None:
    letters = 12
    keys = sorted(
        "".join(c.upper() if bit >> i & 1 else c for i, c in enumerate("abcdefghijkl")).encode()
        for bit in range(1 << letters)
    )
    asked = 0

    class Counting(Rows):
        def get(self, path: bytes, /) -> str | None:  # type: ignore[override]
            nonlocal asked
            asked += 1
            return super().get(path)

    mapper = NameMapper(WINDOWS, Counting())
    paths = {mapper.assign(key) for key in keys}
    assert len(paths) == len(keys)
    assert asked <= 2 * len(keys)


def test_on_disk() -> None:
    with PathTable() as table:
        mapper = NameMapper(MACOS, table)
        keys = [b"A/\xff", b"A/x", "A/\u00e9".encode(), b"a", b"a/x", b"a/y"]
        paths = [mapper.assign(key) for key in sorted(keys)]
        assert [mapper.path_of(key) for key in sorted(keys)] == paths
        assert mapper.path_of(b"a/x") == b"a%~2/x"


def test_order_is_checked() -> None:
    for rules in (POSIX, WINDOWS):
        mapper = NameMapper(rules, Rows())
        mapper.assign(b"b")
        with pytest.raises(ValueError, match="behind"):
            mapper.assign(b"a")
