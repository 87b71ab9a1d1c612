"""Entry paths: what is refused, and that each path has one spelling."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.core.paths import check_path, display, from_text, parent, path_defect, to_text
from transfer.errors import FormatError

COMPONENTS = st.binary(min_size=1, max_size=8).filter(
    lambda name: not {b"/", b"\0"} & {*map(bytes, zip(name))}
)
GOOD = st.lists(COMPONENTS.filter(lambda name: name not in (b".", b"..")), min_size=1, max_size=5).map(
    b"/".join
)


@pytest.mark.parametrize(
    "path",
    [
        *(b"a", b"a/", b"a/b", b"...", b"..a", b"a..", b".a/b.", b"\xff/\n", b"-", b" ", b"a\\..\\b"),
        *(b"n" * 255, b"n" * 255 + b"/", b"/".join([b"n" * 255] * 255), b"a/" * 32_767),
    ],
)
def test_good_paths(path: bytes) -> None:
    assert path_defect(path) == ""
    assert check_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        *(b"", b"/", b"//", b"/a", b"a//", b"a//b", b".", b"./", b"./a", b"a/.", b"a/./b", b"a/./"),
        *(b"..", b"../", b"../a", b"a/..", b"a/../b", b"a/../", b"..//", b"a\0", b"\0"),
        *(b"n" * 256, b"a/" + b"n" * 256 + b"/", b"a/" * 32_768),
    ],
)
def test_bad_paths(path: bytes) -> None:
    with pytest.raises(FormatError) as error:
        check_path(path)
    assert error.value.what.isprintable()


@given(GOOD)
def test_what_is_made_of_good_names_is_good(path: bytes) -> None:
    assert path_defect(path) == path_defect(path + b"/") == ""
    assert path_defect(b"/" + path) != ""
    for hostile in (b"..", b".", b""):
        assert path_defect(hostile + b"/" + path) != ""
        assert path_defect(path + b"/" + hostile + b"/x") != ""


@given(st.binary(min_size=1, max_size=40))
def test_every_path_has_one_spelling(path: bytes) -> None:
    text, encoded = to_text(path)
    assert bool(text) != bool(encoded)
    assert from_text(text, encoded) == path
    if text:
        with pytest.raises(FormatError):
            from_text("", base64.b64encode(path).decode())


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        *(("", ""), ("a", "/w=="), ("", "YQ=="), ("", "/w"), ("", "/w==="), ("", "/w==\n"), ("", " /w==")),
        *(("", "/x=="), ("", "_w=="), ("", "ü"), ("", "/w==/w=="), ("", "==")),
    ],
)
def test_other_spellings_are_refused(text: str, encoded: str) -> None:
    with pytest.raises(FormatError):
        from_text(text, encoded)


@given(st.binary(max_size=40))
def test_display_is_safe_on_a_terminal(path: bytes) -> None:
    shown = display(path)
    assert shown.isprintable()
    assert not any(0xD800 <= ord(char) < 0xE000 for char in shown)


@pytest.mark.parametrize(
    ("path", "shown"),
    [(b"a\nb", "a\\x0ab"), (b"\x1b[0m", "\\x1b[0m"), (b"\xff", "\\xff"), ("\u202e".encode(), "\\u202e")],
)
def test_display_of_what_could_harm(path: bytes, shown: str) -> None:
    assert display(path) == shown


@pytest.mark.parametrize(
    ("path", "above"), [(b"a", b""), (b"a/", b""), (b"a/b", b"a/"), (b"a/b/", b"a/"), (b"a/b/c", b"a/b/")]
)
def test_parent(path: bytes, above: bytes) -> None:
    assert parent(path) == above
