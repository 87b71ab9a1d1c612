"""The list of objects that lie in a folder as files: the key of each, and what its bucket said of it.

Restore writes it beside files that were objects, so that a copy of the folder can become the same objects
again. A text of JSON Lines: a first line that says what it is, then one for each object, in order of path
bytes, each path once. A reader takes nothing on trust: whoever had the folder may have written anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, BinaryIO, Final, Literal

import msgspec
from msgspec import Meta, Struct

from transfer.core.paths import check_path, display
from transfer.core.record_rules import check_key
from transfer.core.records import Digest, ObjectFacts, Size, Text
from transfer.errors import FormatError

OBJECTS_NAME: Final = ".transfer-objects.jsonl"
MAX_LINE_BYTES = 1 << 20
"""Two names, and facts of 64 KiB however they are escaped."""
_BLOCK_BYTES = 1 << 20


class ObjectLine(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One object.

    Attributes:
        path: of its file, relative to the folder that has the list; ends in "/" where an empty object
            became a folder.
        key: in the bucket it came from.
        size_bytes, blake3: of its content, so that a file that was changed since can be told.
        object: what the bucket said; `member` and `history` are never set.
    """

    path: Text
    key: Text
    size_bytes: Size
    blake3: Digest
    object: ObjectFacts


class _Head(Struct, kw_only=True, forbid_unknown_fields=True):
    format: Literal["transfer-objects"]
    format_version: Annotated[int, Meta(ge=1)]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(ObjectLine)
_head_decoder = msgspec.json.Decoder(_Head)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

HEAD_LINE: Final = _encoder.encode(_Head(format="transfer-objects", format_version=1)) + b"\n"
"""The first line of the list."""


def encode_object_line(line: ObjectLine) -> bytes:
    """A line of the list."""
    facts = line.object
    if facts.member or facts.history:
        facts = msgspec.structs.replace(facts, member="", history=False)
        line = msgspec.structs.replace(line, object=facts)
    return _encoder.encode(line) + b"\n"


def decode_object_lines(stream: BinaryIO) -> Iterator[ObjectLine]:
    """The objects of a list, in order of path; memory is bounded by a block and the longest line.

    Args:
        stream: from the list's first byte.

    Raises:
        FormatError: naming the line, and what is wrong with it; the lines before are good.
        OSError: it cannot be read.
    """
    lines = _lines(stream)
    _check_head(next(lines, b""))
    last = b""
    for number, text in enumerate(lines, start=2):
        try:
            line = _decoder.decode(text)
            path = check_path(line.path.encode())
            check_key(line.key.encode())
        except _UNREADABLE as error:
            raise FormatError(f"line {number} of {OBJECTS_NAME}: {error}") from None
        except FormatError as error:
            raise FormatError(f"line {number} of {OBJECTS_NAME}: {error.what}") from None
        if path <= last or (path.endswith(b"/") and line.size_bytes):
            what = "is out of order" if path <= last else "is a folder, and has content"
            raise FormatError(f"line {number} of {OBJECTS_NAME}: {display(path)} {what}")
        if line.object.member or line.object.history:
            raise FormatError(f"line {number} of {OBJECTS_NAME}: it has a field that no list has")
        last = path
        yield line


def _check_head(text: bytes) -> None:
    try:
        head = _head_decoder.decode(text)
    except _UNREADABLE:
        raise FormatError(f"{OBJECTS_NAME} does not begin as a list of objects does") from None
    if head.format_version != 1:
        raise FormatError(
            f"{OBJECTS_NAME} has format version {head.format_version}; this program reads 1",
            remedy="use a newer release of transfer",
        )


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Each line without its end; none is longer than MAX_LINE_BYTES, and the last one is whole."""
    rest = b""
    while block := stream.read(_BLOCK_BYTES):
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            if len(line) > MAX_LINE_BYTES:
                raise FormatError(f"{OBJECTS_NAME} has a line over {MAX_LINE_BYTES:,} bytes")
            yield line
        if len(rest) > MAX_LINE_BYTES:
            raise FormatError(f"{OBJECTS_NAME} has a line over {MAX_LINE_BYTES:,} bytes")
    if rest:
        raise FormatError(f"{OBJECTS_NAME} is cut short in its last line")
