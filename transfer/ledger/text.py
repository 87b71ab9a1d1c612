"""Text as every database takes it. Pure.

PostgreSQL refuses NUL in text, and neither database takes lone surrogates, which names of files become in
Python when they are not UTF-8. Both are written as the escapes that Python would show. All other text stays
as it is.
"""

from __future__ import annotations

MAX_ERROR_CHARS = 2000


def storable(text: str) -> str:
    """The text with NUL and lone surrogates escaped."""
    if "\0" in text:
        text = text.replace("\0", "\\x00")
    if text.isascii():
        return text
    return text.encode(errors="backslashreplace").decode()


def storable_error(text: str) -> str:
    """Words about an error: storable, and of bounded length, since stores and devices write them too."""
    return storable(text if len(text) <= MAX_ERROR_CHARS else text[: MAX_ERROR_CHARS - 1] + "…")
