"""A file's content type, guessed from its name alone.

The table is the one inside Python, never the files of the system it runs on: a name gives the same type
on every machine. A compressed file is given the type of its compression, not of what is inside, and no
Content-Encoding: a browser that unpacks it on the way would hand out other bytes than were stored.
"""

from __future__ import annotations

from functools import lru_cache
from mimetypes import MimeTypes

DEFAULT = "application/octet-stream"
_COMPRESSED = {
    ".br": "application/x-brotli",
    ".bz2": "application/x-bzip2",
    ".gz": "application/gzip",
    ".xz": "application/x-xz",
    ".z": "application/x-compress",
    ".zst": "application/zstd",
}


@lru_cache(maxsize=1)
def _types() -> dict[str, str]:
    return {**MimeTypes(filenames=()).types_map[True], **_COMPRESSED}


def guess_content_type(name: str) -> str:
    """The type of a file with this name or path; `application/octet-stream` where nothing is known.

    A name that is only an extension (`.gz`) has none.
    """
    base = name.rsplit("/", 1)[-1]
    stem, dot, extension = base.rpartition(".")
    return _types().get(f".{extension.lower()}", DEFAULT) if dot and stem else DEFAULT
