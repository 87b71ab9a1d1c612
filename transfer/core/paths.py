"""Entry paths: the rules of FORMAT.md §5, and their two spellings in JSON.

A path is bytes, relative, its components joined by "/"; a directory's path ends in "/". Plain byte comparison
of such paths is the one order that every stream of the product has.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from transfer.errors import FormatError

MAX_PATH_BYTES = 65_535
MAX_COMPONENT_BYTES = 255
MAX_KEY_BYTES = 1024
_MAX_CHARACTER_BYTES = 4


def path_defect(path: bytes) -> str:
    """What is wrong with `path` by FORMAT.md §5, in words; empty when nothing is."""
    if not path or len(path) > MAX_PATH_BYTES:
        return "empty" if not path else f"longer than {MAX_PATH_BYTES} bytes"
    if b"\0" in path:
        return "holds a NUL byte"
    bare = path[:-1] if path.endswith(b"/") else path
    if _climbs(bare):
        return "climbs out or is not in its simplest form"
    if len(bare) > MAX_COMPONENT_BYTES and max(map(len, bare.split(b"/"))) > MAX_COMPONENT_BYTES:
        return f"has a component over {MAX_COMPONENT_BYTES} bytes"
    return ""


def _climbs(path: bytes) -> bool:
    """Whether a component is empty, "." or ".."."""
    walled = b"/%b/" % path
    return b"//" in walled or b"/./" in walled or b"/../" in walled


def are_plain(paths: Sequence[str]) -> bool:
    """Whether no path has a defect, nor ends in a slash; of very long ones the answer may be no as well."""
    joined = "/".join(paths)  # side by side they are one path, which is fine where all of them are
    encoded = joined.encode()
    longest_bytes = max(map(len, paths)) * (1 if joined.isascii() else _MAX_CHARACTER_BYTES)
    if longest_bytes > MAX_COMPONENT_BYTES and max(map(len, encoded.split(b"/"))) > MAX_COMPONENT_BYTES:
        return False
    return longest_bytes <= MAX_PATH_BYTES and b"\0" not in encoded and not _climbs(encoded)


def check_path(path: bytes) -> bytes:
    """Give `path` back if it obeys FORMAT.md §5.

    Raises:
        FormatError: naming the path and the rule that it breaks.
    """
    defect = path_defect(path)
    if defect:
        raise FormatError(f"entry path {display(path[:200])} {defect}")
    return path


def to_text(path: bytes) -> tuple[str, str]:
    """The JSON spelling of path bytes: (text, "") when they are UTF-8, else ("", base64)."""
    try:
        return path.decode(), ""
    except UnicodeDecodeError:
        return "", base64.b64encode(path).decode()


def from_text(text: str, encoded: str) -> bytes:
    """Path bytes from their JSON spelling: exactly one of the two is given.

    Raises:
        FormatError: neither or both are given, or the base64 is broken or hides valid UTF-8.
    """
    if text and not encoded:
        return text.encode()
    if text or not encoded:
        raise FormatError("a record must carry either a path or a path_base64")
    try:
        path = base64.b64decode(encoded, validate=True)
    except ValueError:  # binascii.Error, or a character beyond ASCII
        raise FormatError(f"path_base64 is not base64: {encoded[:80]!r}") from None
    if base64.b64encode(path) != encoded.encode():  # stray bits in the last digit: one path, one spelling
        raise FormatError(f"path_base64 is not the base64 of any bytes: {encoded[-80:]!r}")
    try:
        path.decode()
    except UnicodeDecodeError:
        return path
    raise FormatError(f"path_base64 hides a path that is UTF-8: {display(path[:200])}")


def display(path: bytes) -> str:
    """A path for people, safe on a terminal: undecodable bytes and control characters become escapes."""
    text = path.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def parent(path: bytes) -> bytes:
    """The directory path (ending in "/") that holds `path`; empty for the top level."""
    cut = path.rstrip(b"/").rfind(b"/")
    return path[: cut + 1]
