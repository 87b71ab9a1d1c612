"""The XML of S3 answers, read strictly: no DTD, no entities of its own, limited in size, depth and width.

Namespaces are dropped: stores differ in whether they declare Amazon's, and the names are unique without.
Not a general XML reader: text beside child elements is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape as _escape

MAX_DOCUMENT_BYTES = 8 * 1024 * 1024  # 1,000 keys of 1,024 bytes, each byte as %XX, are below 4 MiB
MAX_DEPTH = 16
MAX_ELEMENTS = 100_000


class XmlError(ValueError):
    """The document is not XML that S3 would answer with."""


@dataclass(slots=True)
class Element:
    """An element, its own text, and the elements in it in their order."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def child(self, name: str) -> Element | None:
        """The first child with this name."""
        return next((child for child in self.children if child.name == name), None)

    def all(self, name: str) -> list[Element]:
        """The children with this name."""
        return [child for child in self.children if child.name == name]

    def value(self, name: str, default: str = "") -> str:
        """The text of the first child with this name."""
        found = self.child(name)
        return default if found is None else found.text


def parse(document: bytes) -> Element:
    """Read a document.

    Raises:
        XmlError: it is not well-formed, has a DTD, or is beyond a limit.
    """
    if len(document) > MAX_DOCUMENT_BYTES:
        raise XmlError(f"an answer of {len(document):,} bytes")
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = builder.doctype
    try:
        parser.Parse(document.lstrip(), True)  # a slow answer is kept alive with blanks in front
    except expat.ExpatError as error:
        raise XmlError(str(error)) from None
    return builder.root.children[0]


def escape(text: str) -> str:
    """Text for the inside of an element; a carriage return survives only as a reference (XML 1.0 §2.11)."""
    return _escape(text, {'"': "&quot;", "\r": "&#13;"})


class _Builder:
    def __init__(self) -> None:
        self.root = Element("")
        self._open = [self.root]
        self._elements = 0

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        self._elements += 1
        if len(self._open) > MAX_DEPTH or self._elements > MAX_ELEMENTS:
            raise XmlError("an answer with too many elements")
        element = Element(name.rpartition(":")[2])
        self._open[-1].children.append(element)
        self._open.append(element)

    def end(self, _name: str) -> None:
        closed = self._open.pop()
        if closed.children:
            closed.text = ""

    def text(self, text: str) -> None:
        self._open[-1].text += text

    def doctype(self, *_declaration: object) -> None:
        raise XmlError("an answer with a document type declaration")
