"""A path back to the key that it stands for; by itself, as most readers of names need no more than this."""

from __future__ import annotations

import re

_ESCAPE = re.compile(rb"%([0-9A-F]{2})")
_NUMBER = re.compile(rb"%~[0-9]+\Z")


def unescape(path: bytes) -> bytes:
    """The key of a path that any forward mapping gave; bytes that hold no escape are given back as they are.

    Args:
        path: of a file, or of a folder, which ends in "/", as its key does.
    """
    if b"%" not in path:
        return path
    key = bytearray()
    slash = b""
    for component in path.split(b"/"):
        goes_on = component.endswith(b"%+")
        key += slash + _body(component[:-2] if goes_on else component)
        slash = b"" if goes_on else b"/"
    return bytes(key)


def _body(component: bytes) -> bytes:
    component = _NUMBER.sub(b"", component)
    if component == b"%":
        return b""
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), component)
