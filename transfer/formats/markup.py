"""HTML as values: what is markup and what is text is told apart by type, so no text becomes markup.

    - Text is escaped, always. Characters that nobody can see or that turn others around (controls, marks of
      direction, characters of no width, lone surrogates) are shown as escapes, `\\u202e`, in an element of
      class `escape`: a name that holds those six characters looks different.
    - Names of elements and attributes are the program's own, never data.

Does not: know which elements are empty beyond those in use, or indent.
"""

from __future__ import annotations

import html
import re
from typing import Final

from msgspec import Struct

_EMPTY: Final = frozenset({"meta", "wbr"})
_NAME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*")


class Markup(Struct, frozen=True):
    """A piece of HTML; made by this module's functions and of the program's own constants."""

    html: str


Child = Markup | str | None
"""Markup as it is, text that will be escaped, or nothing."""


def element(name: str, /, *children: Child, **attributes: str | float) -> Markup:
    """An element.

    Args:
        name: of the element.
        children: in order.
        attributes: `class_` is class, other underscores are hyphens.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"no element is called {name!r}")
    told = "".join(f' {_attribute(key)}="{escape(str(value))}"' for key, value in attributes.items())
    end = "" if name in _EMPTY else f"</{name}>"
    return Markup(f"<{name}{told}>{join(*children).html}{end}")


def join(*children: Child) -> Markup:
    """Pieces behind one another."""
    return Markup("".join([_html(child) for child in children]))


def escape(text: str) -> str:
    """Text for an attribute: as in elements, but escapes are not marked."""
    return html.escape("".join([c if c.isprintable() else _visible(c) for c in text]))


def _html(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child.html
    if child.isprintable():
        return html.escape(child)
    return "".join([html.escape(c) if c.isprintable() else _escaped(c) for c in child])


def _escaped(character: str) -> str:
    return f'<span class="escape">{_visible(character)}</span>'


def _visible(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _attribute(key: str) -> str:
    name = key.removesuffix("_").replace("_", "-")
    if not _NAME.fullmatch(name):
        raise ValueError(f"no attribute is called {name!r}")
    return name
