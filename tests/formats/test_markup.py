"""No text becomes markup, and nothing in it is invisible."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transfer.formats.markup import Markup, element, escape, join

ANY = st.text(st.characters())  # lone surrogates too


class Reader(HTMLParser):
    """What a parser of other people sees."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    handle_pi = unknown_decl = handle_comment


def shown(text: str) -> str:
    """Each character that cannot be seen as Python writes it in a literal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


@given(ANY)
@example("</p><script>alert(1)</script><!-- ")
@example("&lt;&#x202e;&amp")
@example("\\t \\u202e \\")
@example("\u202egnp.exe\x00\x1b[2J\u200b\ud800\ufeff\n\r\t\u2028")
def test_text_stays_text(text: str) -> None:
    written = element("p", text).html
    assert all(c.isprintable() for c in written)
    read = Reader(written)
    assert read.tags[0] == ("p", [])
    assert read.tags[1:] == [("span", [("class", "escape")])] * sum(not c.isprintable() for c in text)
    visible = text.replace("\n", "\\x0a").replace("\r", "\\x0d").replace("\t", "\\x09")
    assert read.text == shown(visible)


@given(ANY)
@example("'\"><img src=x onerror=alert(1)>")
def test_a_value_stays_a_value(text: str) -> None:
    ((tag, attributes),) = Reader(element("p", class_=text).html).tags
    assert tag == "p"
    ((name, value),) = attributes
    assert name == "class"
    assert value is not None
    assert all(c.isprintable() for c in value)
    assert text.isprintable() is False or value == text


def test_elements() -> None:
    assert element("p", "a", None, Markup("<b>&amp;</b>"), "<").html == "<p>a<b>&amp;</b>&lt;</p>"
    assert element("meta", http_equiv="x", content='"').html == '<meta http-equiv="x" content="&quot;">'
    assert element("svg", viewBox="0", x=1.5).html == '<svg viewBox="0" x="1.5"></svg>'
    assert join("a", element("i")).html == "a<i></i>"
    assert escape("a\n<") == "a\\x0a&lt;"


@pytest.mark.parametrize("name", ["", "p ", "a b", "1", "p><script"])
def test_names_are_names(name: str) -> None:
    with pytest.raises(ValueError, match="is called"):
        element(name)
    with pytest.raises(ValueError, match="is called"):
        element("p", **{name: ""})
