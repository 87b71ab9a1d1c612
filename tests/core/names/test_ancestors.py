"""Files among folders in sorted keys, against a look at all keys at once."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.core.names.targets import KEYS
from transfer.core.names import FileAncestors, unescape
from transfer.core.paths import path_defect

Entry = tuple[bytes, bool]
NESTED = st.lists(st.sampled_from([b"a", b"b", b"/", b"/", b"!", b"a/"]), min_size=1, max_size=7).map(
    b"".join
)


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    """Sorted keys, and which of them are folders: some of those that end in a slash, also between files."""
    keys = draw(st.lists(st.one_of(NESTED, NESTED, KEYS), min_size=1, max_size=15))
    listed = [(key, key.endswith(b"/") and draw(st.booleans())) for key in keys]
    return sorted(listed, key=lambda entry: entry[0])


def expected(key: bytes, is_folder: bool, files: set[bytes]) -> bytes:
    """The path, component by component, by looking at every file there is."""
    components = (key[:-1] if is_folder else key).split(b"/")
    spelled = []
    for index, component in enumerate(components):
        name = component.replace(b"%", b"%25") if component in (b"%", b"%+", b"%~1", b"%2F") else component
        is_above = is_folder or index < len(components) - 1
        taken = is_above and b"/".join(components[: index + 1]) in files
        spelled.append((name or b"%") + (b"%~1" if taken else b""))
    return b"/".join(spelled) + (b"/" if is_folder else b"")


def named(ancestors: FileAncestors, listed: list[Entry]) -> list[bytes]:
    names = [ancestors.member_name(key, is_folder=is_folder) for key, is_folder in listed]
    return [name.encode() or key for name, (key, _) in zip(names, listed, strict=True)]


@settings(max_examples=60)
@given(entries().filter(lambda listed: all(set(key) <= set(b"ab/!") for key, _ in listed)))
def test_against_all_keys_at_once(listed: list[Entry]) -> None:
    files = {key for key, is_folder in listed if not is_folder}
    assert named(FileAncestors(), listed) == [expected(*entry, files) for entry in listed]


@settings(max_examples=60)
@given(entries())
def test_names_are_a_tree(listed: list[Entry]) -> None:
    names = named(FileAncestors(), listed)
    folders = {name[: i + 1] for name in names for i in range(len(name)) if name[i : i + 1] == b"/"}
    assert not {name + b"/" for name in names} & folders
    for name, (key, is_folder) in zip(names, listed, strict=True):
        assert unescape(name) == key
        assert path_defect(name) == ""
        assert name.endswith(b"/") == is_folder


@settings(max_examples=60)
@given(entries())
@example([(b"a", False), (b"a!", False), (b"a/b", False), (b"a/b/c", False)])
@example([(b"a/", False), (b"a/", True), (b"a//", False), (b"a//b", False), (b"a/b", False)])
def test_going_on_gives_the_same(listed: list[Entry]) -> None:
    whole = named(FileAncestors(), listed)
    for cut, (first, _) in enumerate(listed):
        if cut and listed[cut - 1][0] == first:
            continue  # versions of a key are given again from the first one on
        before = {key for key, is_folder in listed[:cut] if not is_folder}
        asked: list[bytes] = []

        def earlier(key: bytes, before: set[bytes] = before, asked: list[bytes] = asked) -> bool:
            asked.append(key)
            return key in before

        assert named(FileAncestors(earlier), listed[cut:]) == whole[cut:]
        assert len(asked) == len(set(asked))
        assert all(first.startswith(key) for key in asked)


def test_a_key_that_is_there_already() -> None:
    ancestors = FileAncestors()
    ancestors.note(b"a")
    assert ancestors.member_name(b"a!") == ""
    assert ancestors.member_name(b"a/") == "a%~1/%"
    assert ancestors.member_name(b"a/", is_folder=True) == "a%~1/"
    assert ancestors.member_name(b"a//b") == "a%~1/%%~1/b"
    assert ancestors.member_name(b"a/b") == "a%~1/b"
    assert ancestors.member_name(b"b/c") == ""


def test_a_first_key_that_was_a_file_before() -> None:
    ancestors = FileAncestors({b"a/"}.__contains__)
    assert ancestors.member_name(b"a/", is_folder=True) == ""
    assert ancestors.member_name(b"a//b") == "a/%%~1/b"


def test_a_long_name_has_room_for_its_number() -> None:
    ancestors = FileAncestors()
    assert ancestors.member_name(b"n" * 255) == ""
    name = ancestors.member_name(b"n" * 255 + b"/b")
    assert name == "n" * 242 + "%+/" + "n" * 13 + "%~1/b"
    assert unescape(name.encode()) == b"n" * 255 + b"/b"


@pytest.mark.parametrize("second", [b"a", b"b!"])
def test_order_is_checked(second: bytes) -> None:
    ancestors = FileAncestors()
    ancestors.note(b"b/")
    with pytest.raises(ValueError, match="behind"):
        ancestors.note(second)
    with pytest.raises(ValueError, match="is_folder"):
        ancestors.note(b"c", is_folder=True)


def peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_flat() -> None:
    def name_many() -> None:
        ancestors = FileAncestors(lambda _: False)
        for number in range(4_000):
            ancestors.member_name(b"%08d" % number)
            ancestors.member_name(b"%08d/x" % number)
        for _ in range(4_000):  # versions
            ancestors.member_name(b"a")

    assert peak_bytes(name_many) < 20_000
