"""Segments: the manifest of one pack as zstd-compressed JSON Lines (FORMAT.md §9).

Writing takes encoded lines and gives the file's bytes. Reading is a stream: memory is bounded by one block of
lines, whatever the segment's length. The header can be read alone. This module checks form, count and digest;
what must be true of the records' order and frames is checked by `transfer.core.stream_rules`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, cast

import msgspec
import zstandard
from blake3 import blake3

from transfer.core.records import FORMAT_VERSION, AnyRecord, End, Header, Record
from transfer.errors import FormatError, IntegrityError

MIB = 1 << 20
MAX_SEGMENT_BYTES = 64 * MIB
MAX_LINE_BYTES = 2 * MIB
MAX_INFLATED_BYTES = 1024 * MIB
LEVEL = 3
_BLOCK_BYTES = MIB
_WINDOW_LIMIT_BYTES = 8 * MIB
_MARK = b"\0"
_MARK_FRAME = zstandard.ZstdCompressor(write_checksum=True).compress(_MARK)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not the JSON that they should be."""

_encoder = msgspec.json.Encoder()
_record_decoder = msgspec.json.Decoder(AnyRecord)
_header_decoder = msgspec.json.Decoder(Header)


def encode_line(record: Record) -> bytes:
    """One record as its line."""
    return _encoder.encode(record) + b"\n"


class SegmentBody:
    """The compressed lines of a segment that is still growing, so that little is left to do at its end."""

    def __init__(self) -> None:
        self._stream = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj()
        self._parts: list[bytes] = []
        self._taken = 0

    def take(self, lines: Sequence[bytes], count: int) -> None:
        """Compress what is new of the first `count` blocks, which must not change any more."""
        self._parts += map(self._stream.compress, lines[self._taken : count])
        self._taken = max(self._taken, count)

    def end(self, lines: Sequence[bytes], tail: bytes) -> list[bytes]:
        """All of it."""
        self.take(lines, len(lines))
        return [*self._parts, self._stream.compress(tail), self._stream.flush()]


def encode_segment(
    header: Header, lines: Sequence[bytes], records: int, body: SegmentBody | None = None
) -> bytes:
    """The whole segment file.

    Args:
        header: its first line.
        lines: blocks of whole lines, as `encode_line` makes them.
        records: how many lines they hold.
        body: has taken the first of the blocks already; it is used up.
    """
    head = encode_line(header)
    digest = blake3(head)
    for block in lines:
        digest.update(block)
    tail = encode_line(End(records=records, blake3=digest.hexdigest()))
    head_frame = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(head)
    return b"".join([head_frame, *(body or SegmentBody()).end(lines, tail)])


def read_header(stream: BinaryIO) -> Header:
    """The header alone; of the file little more than its first frame is read.

    Raises:
        FormatError: it is not the header of a segment of this version.
        IntegrityError: the compressed bytes are damaged.
    """
    decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW_LIMIT_BYTES)
    reader = decompressor.stream_reader(stream, read_size=4096)
    try:
        line = reader.read(MAX_LINE_BYTES + 1)
    except zstandard.ZstdError as error:
        raise IntegrityError(f"segment is damaged: {error}") from None
    if not line.endswith(b"\n") or line.count(b"\n") != 1 or len(line) > MAX_LINE_BYTES:
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
            raise FormatError(
                f"segment has format version {version!r:.40}; this program reads {FORMAT_VERSION}",
                remedy="use a newer release of transfer",
            )
        return _header_decoder.decode(line)
    except _UNREADABLE as error:
        raise FormatError(f"segment header: {error}") from None


def read_records(stream: BinaryIO) -> Iterator[Header | list[AnyRecord]]:
    """The header, then the records in blocks, checked for form; after the last block count and digest were
    right.

    The generator raises at the end when they were not: what it yielded before is then known to be incomplete
    or altered.

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
            _refuse_end(batch)
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
    _refuse_end(batch)
    records += len(batch)
    if end.records != records:
        raise FormatError(f"segment holds {records} records, its end record says {end.records}")
    digest.update(block[:cut])
    if digest.hexdigest() != end.blake3:
        raise IntegrityError("segment does not match the digest in its end record")
    return batch


def _refuse_end(batch: list[AnyRecord]) -> None:
    if End in map(type, batch):
        raise FormatError("segment goes on behind its end record")


def _decode_lines(block: bytes) -> list[AnyRecord]:
    try:
        batch = _record_decoder.decode_lines(block)
    except _UNREADABLE as error:
        raise FormatError(f"segment record: {error}") from None
    if len(batch) != block.count(b"\n"):  # msgspec takes several objects in a line, and empty lines
        raise FormatError("segment has a line that is not one record")
    return batch


def _line_blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Blocks of whole lines, about a MiB each."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW_LIMIT_BYTES)
    # zstandard takes a stream that ends inside a frame for whole. So one more frame is put behind: where the
    # last one was cut short, be it by a byte of its checksum, the mark does not come out.
    source = cast(BinaryIO, _Joined(stream, _MARK_FRAME))
    reader = decompressor.stream_reader(source, read_across_frames=True, read_size=_BLOCK_BYTES)
    rest, total = b"", 0
    while block := _read(reader):
        total += len(block)
        rest += block
        cut = rest.rfind(b"\n") + 1
        if cut:
            yield rest[:cut]
            rest = rest[cut:]
        if len(rest) > MAX_LINE_BYTES:
            raise FormatError(f"segment has a line over {MAX_LINE_BYTES} bytes")
        if total > MAX_INFLATED_BYTES:
            raise FormatError(f"segment inflates beyond {MAX_INFLATED_BYTES} bytes")
    if rest != _MARK:
        raise FormatError("segment is cut short, or something else is behind its last line")


def _read(reader: zstandard.ZstdDecompressionReader) -> bytes:
    try:
        return reader.read(_BLOCK_BYTES)
    except zstandard.ZstdError as error:
        raise IntegrityError(f"segment is damaged: {error}") from None


class _Joined:
    """A stream with some bytes right behind it, in the same block as its last ones."""

    def __init__(self, stream: BinaryIO, behind: bytes) -> None:
        self._stream = stream
        self._behind = behind

    def read(self, size: int) -> bytes:
        """The next bytes, `size` or a few more; none when both are at their end."""
        block = self._stream.read(size)
        if len(block) < size:
            block, self._behind = block + self._behind, b""
        return block
