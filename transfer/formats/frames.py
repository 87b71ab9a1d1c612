"""Single zstd frames (RFC 8878) as FORMAT.md §7 wants them: with content size and checksum, and nothing
behind.

Guarantees of the reading side: no output is made before the frame's stated size was compared with what the
manifest says, and never a byte beyond it. A compressor belongs to one thread; callers keep one each.
"""

from __future__ import annotations

import zstandard

from transfer.errors import FormatError, IntegrityError

MIB = 1 << 20
FRAME_SLACK_BYTES = MIB
"""What a B frame may hold beyond one chunk: the headers of its members (FORMAT.md §7)."""
MAX_FRAME_BYTES = 64 * MIB + FRAME_SLACK_BYTES

_MAX_HEADER_BYTES, _BLOCK_HEADER_BYTES, _CHECKSUM_BYTES = 18, 3, 4
_RAW_BLOCK = 0
"""Of a frame, and the kind of its blocks that are stored as they are (RFC 8878 section 3.1.1)."""

Buffer = bytes | bytearray | memoryview


class FrameCompressor:
    """Makes frames at one level; not for use by two threads at once."""

    def __init__(self, level: int) -> None:
        self._compressor = zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True)

    def compress(self, content: Buffer) -> bytes:
        """One frame around `content`."""
        return self._compressor.compress(content)


class FrameReader:
    """Opens frames; not for use by two threads at once."""

    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor()

    def decompress(self, stored: Buffer, expected_bytes: int) -> bytes:
        """The content of exactly one frame.

        Raises:
            FormatError: the frame's header breaks FORMAT.md §7 or states another size than the manifest.
            IntegrityError: the frame does not decompress to what its header and checksum say.
        """
        _check_header(stored, expected_bytes)
        try:
            if not expected_bytes:  # zstandard takes the header's word for it and looks no further
                return self._nothing(stored)
            content = self._decompressor.decompress(stored, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise IntegrityError(f"zstd frame is damaged: {error}") from None
        if len(content) != expected_bytes:
            raise IntegrityError(f"zstd frame gave {len(content)} bytes instead of {expected_bytes}")
        return content

    def _nothing(self, stored: Buffer) -> bytes:
        """Make sure that an empty frame is one, with nothing hidden behind it."""
        empty = self._decompressor.decompressobj()
        if empty.decompress(stored) or empty.unused_data or not empty.eof:
            raise IntegrityError("zstd frame states 0 bytes, and holds more")
        return b""


def _check_header(stored: Buffer, expected_bytes: int) -> None:
    try:
        header = zstandard.get_frame_parameters(bytes(stored[:18]))
    except zstandard.ZstdError as error:
        raise FormatError(f"not a zstd frame: {error}") from None
    if header.content_size != expected_bytes:
        stated = (
            "no size"
            if header.content_size == zstandard.CONTENTSIZE_UNKNOWN
            else f"{header.content_size} bytes"
        )
        raise FormatError(f"zstd frame states {stated}, its record {expected_bytes} bytes")
    if not header.has_checksum or header.dict_id:
        raise FormatError("zstd frame lacks its checksum or wants a dictionary")
    if header.window_size > MAX_FRAME_BYTES:
        raise FormatError(f"zstd frame wants a window of {header.window_size} bytes")


def raw_pieces(stored: Buffer, expected_bytes: int) -> list[memoryview] | None:
    """The content of a frame that was stored as it is, in pieces of `stored`: what does not compress.

    None where any of it is compressed, or the frame is not as it should be: `FrameReader.decompress` then
    opens it, or says what is wrong. The frame's own checksum is not looked at: whoever takes the pieces holds
    them against digests.

    Args:
        stored: exactly one frame.
        expected_bytes: of its content.
    """
    try:
        _check_header(stored, expected_bytes)
        position = zstandard.frame_header_size(bytes(stored[:_MAX_HEADER_BYTES]))
    except (IntegrityError, zstandard.ZstdError):
        return None
    view, pieces, found, is_last = memoryview(stored), [], 0, False
    while not is_last:
        head = int.from_bytes(view[position : position + _BLOCK_HEADER_BYTES], "little")
        is_last, kind, size = bool(head & 1), head >> 1 & 3, head >> 3
        position += _BLOCK_HEADER_BYTES
        if kind != _RAW_BLOCK or position + size > len(view) or (not size and not is_last):
            return None
        pieces.append(view[position : position + size])
        position += size
        found += size
    return pieces if found == expected_bytes and position + _CHECKSUM_BYTES == len(view) else None
