"""Lists of keys, from a file or an S3 Inventory report: read as a stream, brought into the order of the
device.

Lists need not be sorted, and may name a key twice. Blocking, but for `at_ease`.
"""

from __future__ import annotations

import asyncio
import os
import struct
import zlib
from collections.abc import AsyncGenerator, Callable, Iterator
from itertools import groupby, islice
from operator import itemgetter
from typing import BinaryIO, TypeVar

import msgspec

from transfer.core.object_selection import Selection
from transfer.errors import FormatError, UsageError
from transfer.formats.inventory import MAX_ROW_BYTES, InventoryRow
from transfer.jobs.export.sorting import sorted_on_disk

_BLOCK_BYTES = 256 << 10
_AT_ONCE = 1000
_NEWEST = 2**63 - 1
_MOMENT = struct.Struct(">BQ")
_encoder = msgspec.msgpack.Encoder()
_row_decoder = msgspec.msgpack.Decoder(InventoryRow)

Value = TypeVar("Value")


def keys_of(name: str, selection: Selection) -> Iterator[str]:
    """The keys that a file names and the selection takes, in order, each once; and those outside its prefix.

    A line is a key as it stands, or a JSON string, or a JSON object with the field `key`; a line that begins
    with `"` or `{` is JSON. Empty lines are passed over.

    Raises:
        UsageError: the file cannot be read, or a line is no key.
    """
    items = (
        (key.encode(), b"", b"")
        for key in _keys(name)
        if selection.takes(key) or not key.startswith(selection.prefix)
    )
    for key, _ in groupby(sorted_on_disk(items), key=itemgetter(0)):
        yield key.decode()


def _keys(name: str) -> Iterator[str]:
    try:
        with open(os.fsencode(name), "rb") as file:
            for number, line in enumerate(lines_of(file), start=1):
                if text := line.rstrip(b"\r\n"):
                    yield _key(text, f"--keys {name}, line {number}")
    except OSError as error:
        raise UsageError(
            f"--keys: cannot read {name}: {error.strerror}", remedy="name a readable file"
        ) from error
    except FormatError as error:
        raise UsageError(f"--keys {name}: {error.what}", remedy="write one key a line") from None


def _key(line: bytes, where: str) -> str:
    remedy = 'write a key as it is, or as JSON: "key", or {"key": "..."}'
    try:
        told: object = line.decode()
        if line[:1] in b'"{':
            told = msgspec.json.decode(line)
    except (UnicodeDecodeError, msgspec.MsgspecError):
        raise UsageError(f"{where} is no key", remedy=remedy) from None
    key = told.get("key") if isinstance(told, dict) else told
    if not isinstance(key, str) or not 1 <= len(key.encode("utf-8", "surrogatepass")) <= 1024:
        raise UsageError(f"{where} is no key", remedy=remedy)
    return key


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file, with their ends.

    Raises:
        FormatError: one is too long to be a key or a row.
    """
    while line := file.readline(MAX_ROW_BYTES + 1):
        if len(line) > MAX_ROW_BYTES:
            raise FormatError(f"a line is longer than {MAX_ROW_BYTES} bytes")
        yield line


def inflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The content of a gzip file, member after member, in pieces of bounded size.

    Raises:
        FormatError: it is none, or damaged.
    """
    inflater = zlib.decompressobj(wbits=31)
    is_whole = True
    try:
        for piece in pieces:
            data = piece
            while data:
                is_whole = False
                yield inflater.decompress(data, _BLOCK_BYTES)
                data = inflater.unconsumed_tail
                if inflater.eof:
                    is_whole = True
                    data, inflater = inflater.unused_data, zlib.decompressobj(wbits=31)
        if not is_whole:
            yield inflater.flush()
            is_whole = inflater.eof
    except zlib.error as error:
        raise FormatError(f"its compression is damaged: {error}") from None
    if not is_whole:
        raise FormatError("it is cut short")


def joined_lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of a stream of pieces.

    Raises:
        FormatError: one is too long to be a row.
    """
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
        if len(rest) > MAX_ROW_BYTES:
            raise FormatError(f"a line is longer than {MAX_ROW_BYTES} bytes")
    if rest:
        yield rest


def in_order(rows: Iterator[InventoryRow], selection: Selection) -> Iterator[InventoryRow]:
    """The rows that the selection takes: by key, within a key newest first; each version once."""
    items = ((row.key.encode(), _age(row), _encoder.encode(row)) for row in rows if selection.takes(row.key))
    for _, same in groupby(sorted_on_disk(items), key=lambda item: item[:2]):
        seen: set[str] = set()
        for item in same:
            row = _row_decoder.decode(item[2])
            if row.version_id not in seen:
                seen.add(row.version_id)
                yield row


def _age(row: InventoryRow) -> bytes:
    """Sorts the newest version first."""
    micros = int(row.last_modified.timestamp() * 1_000_000) if row.last_modified else 0
    return _MOMENT.pack(not row.is_latest, _NEWEST - max(0, micros))


async def at_ease(make: Callable[[], Iterator[Value]]) -> AsyncGenerator[Value]:
    """What a blocking iterator gives, taken from it in a thread, many at a time."""
    iterator = await asyncio.to_thread(make)
    while values := await asyncio.to_thread(lambda: list(islice(iterator, _AT_ONCE))):
        for value in values:
            yield value
