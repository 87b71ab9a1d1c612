from __future__ import annotations

import contextlib
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.stores.xml import MAX_DOCUMENT_BYTES, XmlError, escape, parse

# XML 1.0 §2.2, less the carriage return that a parser turns into a newline unless it is escaped.
xml_text = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"))


def test_values_children_and_namespaces() -> None:
    root = parse(
        b'\n  <?xml version="1.0"?><s:R xmlns:s="u"><A>1</A><A x="y">2</A><s:B><C>&lt;&#65;</C></s:B></s:R>'
    )
    assert root.name == "R"
    assert [item.text for item in root.all("A")] == ["1", "2"]
    assert root.child("B").value("C") == "<A"
    assert root.child("none") is None
    assert root.value("none", "default") == "default"


@given(xml_text)
def test_escaped_text_comes_back(text: str) -> None:
    document = f"<R><K>{escape(text)}</K></R>"
    assert parse(document.encode()).value("K") == text
    assert ElementTree.fromstring(document).findtext("K") == text


def test_a_carriage_return_survives() -> None:
    text = "a\rb"
    assert parse(f"<R><K>{escape(text)}</K></R>".encode()).value("K") == text


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"", "no element"),
        (b"<R>", "no element|unclosed"),
        (b"<R></S>", "mismatched"),
        (b"<R/><R/>", "junk"),
        (b"not xml", "syntax|not well-formed"),
        (b"<!DOCTYPE R><R/>", "document type"),
        (b'<!DOCTYPE R [<!ENTITY a "b">]><R>&a;</R>', "document type"),
        (b"<R>&unknown;</R>", "undefined entity"),
        (b"<R>\xff</R>", "not well-formed"),
        (b"<R>" + b"<A>" * 20 + b"</A>" * 20 + b"</R>", "too many"),
        (b"<R>" + b"<A/>" * 100_001 + b"</R>", "too many"),
        (b" " * (MAX_DOCUMENT_BYTES + 1), "bytes"),
    ],
    ids=range(12),
)
def test_what_is_no_answer(document: bytes, words: str) -> None:
    with pytest.raises(XmlError, match=words):
        parse(document)


@given(st.binary(max_size=300) | st.text("<>/ab&;![]\"'=?-x ").map(str.encode))
def test_any_bytes_are_read_or_refused(document: bytes) -> None:
    with contextlib.suppress(XmlError):
        assert parse(document).name
