"""CRCs of buffers, their arithmetic, their spelling in S3 (base64 of big-endian bytes), what they prove."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Sequence

from awscrt import checksums as crt

from transfer.stores.contract import Buffers, ChecksumKind, Checksums, ObjectInfo, Part

EMPTY = Checksums(0, 0)
WIDTH_BYTES = {ChecksumKind.CRC64NVME: 8, ChecksumKind.CRC32C: 4}


def size_of(body: Buffers) -> int:
    """How many bytes the buffers hold together."""
    return sum([len(buffer) if isinstance(buffer, bytes) else buffer.nbytes for buffer in body])


def checksums_of(body: Buffers) -> Checksums:
    """Both CRCs of the buffers, one after another."""
    crc64nvme = crc32c = 0
    for buffer in body:
        crc64nvme = crt.crc64nvme(buffer, crc64nvme)  # type: ignore[arg-type]  # it takes any buffer
        crc32c = crt.crc32c(buffer, crc32c)  # type: ignore[arg-type]
    return Checksums(crc64nvme, crc32c)


def combine(pieces: Iterable[tuple[Checksums, int]]) -> Checksums:
    """The CRCs of pieces laid end to end, each given as its CRCs and its size in bytes."""
    whole = EMPTY
    for piece, size_bytes in pieces:
        whole = Checksums(
            crt.combine_crc64nvme(whole.crc64nvme, piece.crc64nvme, size_bytes),
            crt.combine_crc32c(whole.crc32c, piece.crc32c, size_bytes),
        )
    return whole


def value_of(checksums: Checksums, kind: ChecksumKind) -> int:
    """The CRC of that kind, which must be a CRC."""
    return checksums.crc64nvme if kind is ChecksumKind.CRC64NVME else checksums.crc32c


def encode(value: int, kind: ChecksumKind) -> str:
    """A CRC as S3 writes it."""
    return base64.b64encode(value.to_bytes(WIDTH_BYTES[kind], "big")).decode()


def decode(text: str | None, kind: ChecksumKind) -> int | None:
    """A CRC as S3 wrote it; None where it says none, or one that is not of a whole object (`...-3`)."""
    if not text:
        return None
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return int.from_bytes(raw, "big") if len(raw) == WIDTH_BYTES[kind] else None


def composite_crc32c(parts: Sequence[Part]) -> str | None:
    """The CRC32C of the parts' CRC32Cs: S3's sum where it has no full-object one; None if one is unknown."""
    if any(part.checksums is None for part in parts):
        return None
    joined = b"".join(part.checksums.crc32c.to_bytes(4, "big") for part in parts if part.checksums)
    return f"{encode(crt.crc32c(joined), ChecksumKind.CRC32C)}-{len(parts)}"


def composite_etag(parts: Sequence[Part]) -> str | None:
    """The ETag S3 gives an unencrypted object made of these parts; None where a part's ETag is no MD5."""
    try:
        joined = b"".join([bytes.fromhex(part.etag) for part in parts])
    except ValueError:
        return None
    if len(joined) != 16 * len(parts):
        return None
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(parts)}"


def is_this_object(info: ObjectInfo, checksums: Checksums, parts: Sequence[Part]) -> bool:
    """Whether an object is provably the one made of these parts."""
    if info.size_bytes != sum(part.size_bytes for part in parts):
        return False
    if info.crc64nvme is not None:
        return info.crc64nvme == checksums.crc64nvme
    if info.crc32c is not None:
        return info.crc32c == checksums.crc32c
    return info.etag == composite_etag(parts)
