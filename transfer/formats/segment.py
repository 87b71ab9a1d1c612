"""Segments: the manifest of one pack as zstd-compressed JSON Lines (FORMAT.md §9).

Writing takes encoded lines and gives the file's bytes. Reading is a stream: memory is bounded by one block of lines, whatever the
segment's length. The header can be read alone. This module checks form, count and digest; what must be true of the records' order
and frames is checked by `transfer.core.stream_rules`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import msgspec
import zstandard
from blake3 import blake3

from transfer.core.records import FORMAT_VERSION, AnyRecord, End, Header, Record
from transfer.errors import FormatError, IntegrityError

MIB = 1 << 20
MAX_SEGMENT_BYTES = 64 * MIB
MAX_LINE_BYTES = MIB
LEVEL = 3
_BLOCK_BYTES = MIB
_WINDOW_LIMIT_BYTES = 8 * MIB

_encoder = msgspec.json.Encoder()
_record_decoder = msgspec.json.Decoder(AnyRecord)
_header_decoder = msgspec.json.Decoder(Header)


def encode_line(record: Record) -> bytes:
    """One record as its line."""
    return _encoder.encode(record) + b"\n"


def encode_segment(header: Header, lines: Sequence[bytes], records: int) -> bytes:
    """The whole segment file.

    Args:
        header: its first line.
        lines: blocks of whole lines, as `encode_line` makes them.
        records: how many lines they hold.
    """
    head = encode_line(header)
    digest = blake3(head)
    for block in lines:
        digest.update(block)
    tail = encode_line(End(records=records, blake3=digest.hexdigest()))
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
    body = compressor.compressobj()
    parts = [compressor.compress(head)]
    parts += [body.compress(block) for block in lines]
    parts += [body.compress(tail), body.flush()]
    return b"".join(parts)


def read_header(stream: BinaryIO) -> Header:
    """The header alone; reads little more than its own frame.

    Raises:
        FormatError: it is not the header of a segment of this version.
        IntegrityError: the compressed bytes are damaged.
    """
    reader = zstandard.ZstdDecompressor(max_window_size=_WINDOW_LIMIT_BYTES).stream_reader(stream, read_size=4096)
    try:
        line = reader.read(65_536)
    except zstandard.ZstdError as error:
        raise IntegrityError(f"segment is damaged: {error}") from None
    if not line.endswith(b"\n") or line.count(b"\n") != 1:
        raise FormatError("the first frame of a segment must be one line, its header")
    return decode_header(line)


def decode_header(line: bytes) -> Header:
    """A header from its line.

    Raises:
        FormatError: as `read_header`.
    """
    if not line.startswith(b'{"kind":"segment",'):
        raise FormatError("segment does not begin with its header")
    try:
        version = msgspec.json.decode(line).get("format_version")
        if version != FORMAT_VERSION:
            raise FormatError(f"segment has format version {version!r}; this program reads {FORMAT_VERSION}")
        return _header_decoder.decode(line)
    except msgspec.MsgspecError as error:
        raise FormatError(f"segment header: {error}") from None


def read_records(stream: BinaryIO) -> Iterator[Header | list[AnyRecord]]:
    """The header, then the records in blocks, checked for form; after the last block count and digest were right.

    The generator raises at the end when they were not: what it yielded before is then known to be incomplete or altered.

    Raises:
        FormatError: a line breaks FORMAT.md §9 or §10, or the count is wrong.
        IntegrityError: the compressed bytes are damaged, or the digest is wrong.
    """
    digest = blake3()
    records = 0
    blocks = _line_blocks(stream)
    first = next(blocks, b"")
    cut = first.find(b"\n") + 1
    yield decode_header(first[:cut])
    digest.update(first[:cut])
    pending = first[cut:]
    for block in blocks:
        if pending:
            batch = _decode_lines(pending)
            if isinstance(batch[-1], End) or any(isinstance(record, End) for record in batch):
                raise FormatError("segment goes on behind its end record")
            digest.update(pending)
            records += len(batch)
            yield batch
        pending = block
    yield _decode_last(pending, digest, records)


def _decode_last(block: bytes, digest: blake3, records: int) -> list[AnyRecord]:
    """The records of the last block without the end record, which must agree with count and digest."""
    cut = block.rfind(b"\n", 0, -1) + 1
    batch = _decode_lines(block) if block else []
    end = batch.pop() if batch else None
    if not isinstance(end, End):
        raise FormatError("segment is cut short: it has no end record")
    if any(isinstance(record, End) for record in batch):
        raise FormatError("segment goes on behind its end record")
    records += len(batch)
    if end.records != records:
        raise FormatError(f"segment holds {records} records, its end record says {end.records}")
    digest.update(block[:cut])
    if digest.hexdigest() != end.blake3:
        raise IntegrityError("segment does not match the digest in its end record")
    return batch


def _decode_lines(block: bytes) -> list[AnyRecord]:
    try:
        return _record_decoder.decode_lines(block)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"segment record: {error}") from None


def _line_blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Blocks of whole lines, about a MiB each."""
    reader = zstandard.ZstdDecompressor(max_window_size=_WINDOW_LIMIT_BYTES).stream_reader(
        stream, read_across_frames=True, read_size=_BLOCK_BYTES
    )
    rest = b""
    while True:
        try:
            block = reader.read(_BLOCK_BYTES)
        except zstandard.ZstdError as error:
            raise IntegrityError(f"segment is damaged: {error}") from None
        if not block:
            break
        rest += block
        cut = rest.rfind(b"\n") + 1
        if cut:
            yield rest[:cut]
            rest = rest[cut:]
        if len(rest) > MAX_LINE_BYTES:
            raise FormatError(f"segment has a line over {MAX_LINE_BYTES} bytes")
    if rest:
        raise FormatError("segment is cut short in the middle of a line")
