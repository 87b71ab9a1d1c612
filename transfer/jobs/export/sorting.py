"""Sorting more than fits into memory: sorted blocks go to a nameless temporary file, and are merged from it.

Blocking. Memory is one block while it takes, and a small buffer for each block while it gives.
"""

from __future__ import annotations

import heapq
import os
import struct
import tempfile
from collections.abc import Iterable, Iterator

Item = tuple[bytes, bytes, bytes]
"""Key, what decides among items of the same key, and what is carried along."""

BLOCK_BYTES = 32 << 20
_ITEM_COST = 200  # of a tuple of three, beside their bytes
_HEAD = struct.Struct("<HHI")
_READ_BYTES = 64 << 10


def sorted_on_disk(items: Iterable[Item], *, block_bytes: int = BLOCK_BYTES) -> Iterator[Item]:
    """All items in order of their bytes.

    Args:
        items: key and decider of at most 65,535 bytes each.
        block_bytes: how much is sorted in memory at once.

    Raises:
        OSError: the temporary folder is full, or failed.
    """
    block: list[Item] = []
    size = 0
    with tempfile.TemporaryFile(buffering=0) as file:
        spans: list[tuple[int, int]] = []
        for item in items:
            block.append(item)
            size += _ITEM_COST + sum(map(len, item))
            if size >= block_bytes:
                spans.append(_write(file.fileno(), block))
                block, size = [], 0
        block.sort()
        yield from heapq.merge(*(_read(file.fileno(), start, end) for start, end in spans), block)


def _write(descriptor: int, block: list[Item]) -> tuple[int, int]:
    """Append a block, sorted; where it begins and ends."""
    block.sort()
    start = position = os.lseek(descriptor, 0, os.SEEK_END)
    parts: list[bytes] = []
    waiting = 0
    for key, decider, carried in block:
        parts += (_HEAD.pack(len(key), len(decider), len(carried)), key, decider, carried)
        waiting += _HEAD.size + len(key) + len(decider) + len(carried)
        if waiting >= 1 << 20:
            position, parts, waiting = _write_out(descriptor, parts, position), [], 0
    return start, _write_out(descriptor, parts, position)


def _write_out(descriptor: int, parts: list[bytes], position: int) -> int:
    view = memoryview(b"".join(parts))
    while view:
        count = os.pwrite(descriptor, view, position)
        view, position = view[count:], position + count
    return position


def _read(descriptor: int, position: int, end: int) -> Iterator[Item]:
    buffer = b""
    at = 0

    def need(size: int) -> None:
        nonlocal buffer, at, position
        while len(buffer) - at < size:
            more = os.pread(descriptor, min(max(_READ_BYTES, size), end - position), position)
            if not more:
                raise OSError("the temporary file was cut short")
            position += len(more)
            buffer, at = buffer[at:] + more, 0

    while position < end or at < len(buffer):
        need(_HEAD.size)
        sizes = _HEAD.unpack_from(buffer, at)
        at += _HEAD.size
        need(sum(sizes))
        fields = []
        for size in sizes:
            fields.append(buffer[at : at + size])
            at += size
        yield fields[0], fields[1], fields[2]
