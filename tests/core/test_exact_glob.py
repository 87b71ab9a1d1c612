"""A pattern for one path, read back by the filter of the product, takes that path and no other."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from transfer.core.exact_glob import exact_glob
from transfer.core.filters import Filter, RuleFile

NAMES = st.binary(min_size=1, max_size=12).filter(lambda name: not set(name) & set(b"\0/"))
SPECIAL = st.text(st.sampled_from("*?[]{}\\,^-!#;+ \n\r\t\x1c\x85\xa0\u2028ab"), min_size=1, max_size=8)
PATHS = st.lists(NAMES | SPECIAL.map(str.encode), min_size=1, max_size=4).map(b"/".join)


def filter_of(path: bytes) -> Filter:
    pattern = exact_glob(path)
    assert pattern is not None
    assert "\n" not in pattern
    return Filter.parse(include_from=[RuleFile("list", f"# head\n{pattern}\n")])


@given(path=PATHS, other=PATHS)
@example(b"a ", b"a")
@example(b"a\n", b"a")
@example(b"{{.}}", b"x")
@example(b"a\r", b"a")
@example(b"#a", b"a")
@example(b"\xff\xfe", b"\xff")
def test_it_takes_its_path_and_no_other(path: bytes, other: bytes) -> None:
    rules = filter_of(path)
    assert rules.accepts_file(path)
    assert rules.may_descend(path[: path.rfind(b"/") + 1])
    assert not rules.accepts_file(b"x/" + path)
    assert not rules.accepts_file(path + b"x")
    assume(other != path)
    assert not rules.accepts_file(other)


@given(path=PATHS, at=st.integers(0), byte=st.integers(1, 255))
def test_one_byte_decides(path: bytes, at: int, byte: int) -> None:
    at %= len(path)
    bent = path[:at] + bytes([byte]) + path[at + 1 :]
    assert filter_of(path).accepts_file(bent) == (bent == path)


@pytest.mark.parametrize(("size", "fits"), [(4095, True), (4096, False)])
def test_what_is_too_long_has_none(size: int, fits: bool) -> None:
    path = b"/".join([b"a" * 255] * 17)[:size]
    assert (exact_glob(path) is not None) == fits
    if fits:
        assert filter_of(path).accepts_file(path)
