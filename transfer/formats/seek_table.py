"""The seek table that closes a pack: zstd seekable format 0.1.0, one skippable frame (FORMAT.md §7)."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from transfer.errors import FormatError

SKIPPABLE_MAGIC = 0x184D2A5E
SEEKABLE_MAGIC = 0x8F92EAB1
HEADER_BYTES = 8
FOOTER_BYTES = 9
ENTRY_BYTES = 8


def table_bytes(frames: int) -> int:
    """How long the seek table of so many frames is."""
    return HEADER_BYTES + frames * ENTRY_BYTES + FOOTER_BYTES


def encode(frames: Iterable[tuple[int, int]]) -> bytes:
    """The seek table for frames given as (stored bytes, decompressed bytes), in order."""
    entries = b"".join(struct.pack("<II", stored, content) for stored, content in frames)
    footer = struct.pack("<IBI", len(entries) // ENTRY_BYTES, 0, SEEKABLE_MAGIC)
    return struct.pack("<II", SKIPPABLE_MAGIC, len(entries) + FOOTER_BYTES) + entries + footer


def decode(table: bytes) -> list[tuple[int, int]]:
    """The (stored bytes, decompressed bytes) of each frame.

    Raises:
        FormatError: the bytes are not exactly one seek table without checksums.
    """
    if len(table) < HEADER_BYTES + FOOTER_BYTES:
        raise FormatError("seek table is cut short")
    magic, size = struct.unpack_from("<II", table)
    count, descriptor, seekable = struct.unpack_from("<IBI", table, len(table) - FOOTER_BYTES)
    sizes_agree = size == len(table) - HEADER_BYTES and len(table) == table_bytes(count)
    if (magic, seekable, descriptor) != (SKIPPABLE_MAGIC, SEEKABLE_MAGIC, 0) or not sizes_agree:
        raise FormatError("seek table is damaged")
    return list(struct.iter_unpack("<II", table[HEADER_BYTES:-FOOTER_BYTES]))
