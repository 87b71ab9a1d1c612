"""Which keys are taken."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from transfer.core.filters import Filter
from transfer.core.object_selection import Selection, just_before

_KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)


def test_begin_and_end_are_whole_keys_and_included():
    selection = Selection("p/", begin="p/b", end="p/d")
    keys = ["p/a", "p/b", "p/c/x", "p/d", "p/d/", "p/e", "q/c"]
    assert [key for key in keys if selection.takes(key)] == ["p/b", "p/c/x", "p/d"]


def test_the_order_is_that_of_utf8_not_of_utf16():
    selection = Selection(begin="\ufffd", end="\U00010000")
    assert selection.takes("\U00010000")  # behind U+FFFD in UTF-8; before it in UTF-16
    assert not selection.takes("\U00010001")


def test_filters_see_the_key_behind_the_prefix():
    selection = Selection("2026/", filter=Filter.parse(exclude=["/tmp/**"], max_size_bytes=10))
    assert selection.takes("2026/a/tmp/x", 10)
    assert not selection.takes("2026/tmp/x", 1)
    assert not selection.takes("2026/a", 11)
    assert selection.path("2026/tmp/x") == b"tmp/x"


@settings(max_examples=200)
@given(_KEYS, _KEYS)
def test_nothing_that_is_wanted_sorts_before_where_a_listing_begins(begin: str, key: str):
    start = Selection(begin=begin).start_after
    assert start.encode() < begin.encode()
    assert not (key.encode() >= begin.encode() and key.encode() <= start.encode())


def test_hardly_anything_is_listed_in_vain():
    assert just_before("b") > "a" * 1000
    assert just_before("a\0") == "a"
    assert just_before("\ue000").encode() < "\ue000".encode()
