"""A large file between its begin record and its closing one: what its chunks add up to (FORMAT.md §10)."""

from __future__ import annotations

import re
from typing import Final

from transfer.core.paths import display
from transfer.core.records import Begin, Chunk, File
from transfer.errors import FormatError

_HEX: Final = re.compile("[0-9a-f]+")
_SAME: Final = tuple(Begin.__struct_fields__)
"""The closing record repeats all of the begin record: the header of the member was made from that one."""


def hex_number(text: str) -> int:
    """The number that lower-case hex digits spell.

    Raises:
        FormatError: the text is anything else.
    """
    if not _HEX.fullmatch(text):  # int() takes signs, blanks, underscores and digits of other scripts too
        raise FormatError(f"not a checksum: {text[:80]!r}")
    return int(text, 16)


class OpenFile:
    """The file that `begin` began."""

    def __init__(self, begin: Begin, path: bytes) -> None:
        self.begin = begin
        self.path = path
        self.chunks = 0
        self.bytes = 0
        self.crc64nvme = 0
        self.crc32c = 0

    def next_chunk_bytes(self, chunk_size_bytes: int) -> int:
        """How large the next chunk has to be; 0 when there is none left."""
        return min(chunk_size_bytes, self.begin.size_bytes - self.bytes)

    def add(self, chunk: Chunk, chunk_size_bytes: int) -> None:
        """Take the next chunk.

        Raises:
            FormatError: it is not the next one, or not of the right size.
        """
        # Loaded here: that takes 40 ms, and many devices have no large file.
        from awscrt.checksums import combine_crc32c, combine_crc64nvme  # noqa: PLC0415  (start-up time)

        expected = self.next_chunk_bytes(chunk_size_bytes)
        if chunk.index != self.chunks or chunk.size_bytes != expected or not expected:
            where = f"chunk {chunk.index} of {display(self.path)}"
            raise FormatError(f"{where} is out of place or of the wrong size")
        self.crc64nvme = combine_crc64nvme(self.crc64nvme, hex_number(chunk.crc64nvme), chunk.size_bytes)
        self.crc32c = combine_crc32c(self.crc32c, hex_number(chunk.crc32c), chunk.size_bytes)
        self.chunks += 1
        self.bytes += chunk.size_bytes

    def close(self, record: File) -> None:
        """Check the file record against the begin record and what the chunks added up to.

        Raises:
            FormatError: they disagree.
        """
        stated = (record.size_bytes, record.chunks, hex_number(record.crc64nvme), hex_number(record.crc32c))
        if stated != (self.bytes, self.chunks, self.crc64nvme, self.crc32c):
            raise FormatError(f"file record of {display(self.path)} disagrees with its chunks")
        if any(getattr(record, name) != getattr(self.begin, name) for name in _SAME):
            raise FormatError(f"file record of {display(self.path)} disagrees with its begin record")
