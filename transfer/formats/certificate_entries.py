"""The companion of a certificate: a line an entry, JSON Lines in one zstd frame (FORMAT.md §20).

In ascending order of keys, as a bucket lists them; what can have no key stands where its path comes by. Each
line is checked by itself when it is read; order and digest of the whole are its reader's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, BinaryIO, Final, Literal, TypeAlias

import msgspec
import zstandard
from msgspec import Meta, Struct

from transfer.core.records import Base64, Crc32, Crc64, Digest, Size, Text
from transfer.errors import FormatError
from transfer.formats.certificate import Key, Reason, State

MAX_LINE_BYTES: Final = 1 << 20
MAX_TAG_CHARS: Final = 1024
"""Of an ETag and of a version id."""
_BLOCK_BYTES = 1 << 20
_WINDOW_LIMIT_BYTES = 8 << 20
_LEVEL = 3

EvidenceKind = Literal["crc64nvme", "crc32c", "download", "empty"]


class CertifiedObject(
    Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="object"
):
    """An entry that is in the bucket.

    Attributes:
        path: of the entry, which is UTF-8, as keys are.
        crc64nvme, crc32c: of the content by the manifest, whichever of them the store has.
        etag: as the bucket's listing gave it, without quotes.
        modified: as the listing gave it, RFC 3339; empty where it did not.
        version_id: where the bucket keeps versions and was asked (it was not for an empty object).
    """

    path: Text
    key: Key
    size_bytes: Size
    blake3: Digest
    crc64nvme: Crc64
    crc32c: Crc32
    evidence: EvidenceKind
    etag: Annotated[str, Meta(max_length=MAX_TAG_CHARS)] = ""
    modified: Annotated[str, Meta(max_length=40)] = ""
    version_id: Annotated[str, Meta(max_length=MAX_TAG_CHARS)] = ""


class NotCertified(
    Struct,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
    tag="not-certified",
):
    """An entry that is not, and why; its key, where it can have one."""

    path: Text = ""
    path_base64: Base64 = ""
    key: Key = ""
    state: State
    reason: Reason


Line: TypeAlias = CertifiedObject | NotCertified

_encoder = msgspec.json.Encoder()
# Made here: msgspec must not build one type's decoder in two threads at once.
_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


class EntriesWriter:
    """Turns lines into the companion's stored bytes."""

    def __init__(self) -> None:
        compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
        self._stream = compressor.compressobj()
        self.entries = 0

    def add(self, line: Line) -> bytes:
        """Take a line; the bytes to be written now, often none."""
        self.entries += 1
        return self._stream.compress(_encoder.encode(line) + b"\n")

    def finish(self) -> bytes:
        """The bytes to be written last."""
        return self._stream.flush()


def read_entries(stream: BinaryIO, where: str) -> Iterator[Line]:
    """The lines of a companion; memory is bounded by its longest line.

    Raises:
        FormatError: a line is none of a companion, or does not end; names `where` and the line.
    """
    for number, text in enumerate(_lines(stream, where), 1):
        try:
            yield _decoder.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise FormatError(f"{where} line {number}: {error}") from None


def _lines(stream: BinaryIO, where: str) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW_LIMIT_BYTES)
    reader = decompressor.stream_reader(stream, read_size=_BLOCK_BYTES)
    rest = b""
    try:
        while block := reader.read(_BLOCK_BYTES):
            *whole, rest = (rest + block).split(b"\n")
            yield from whole
            if len(rest) > MAX_LINE_BYTES:
                raise FormatError(f"{where} has a line over {MAX_LINE_BYTES} bytes")
    except zstandard.ZstdError as error:
        raise FormatError(f"{where} is damaged: {error}") from None
    if rest:
        raise FormatError(f"{where} is cut short")
