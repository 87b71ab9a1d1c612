"""How an object is cut into the parts of a multipart upload.

A part is k whole chunks, so that every part is made of whole frames of a pack and its checksums come out of
the chunks' own. Parts are uniform (the last may be shorter) and numbered from 1; this is what ListParts can
be compared with on resume, and what some stores insist on.

    k = ceil(size / (parts_max x chunk)), raised so that a part comes near TARGET_PART_SIZE_BYTES and is never
    below the store's minimum
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from transfer.core.s3_limits import AWS_LIMITS, S3Limits
from transfer.core.sizes import MIB
from transfer.errors import UsageError

TARGET_PART_SIZE_BYTES = 32 * MIB


@dataclass(frozen=True, slots=True)
class PartRange:
    """One part: its number, counted from 1, and the bytes of the object it covers."""

    number: int
    offset_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PartPlan:
    """The cut of one object.

    Attributes:
        size_bytes: of the object.
        part_size_bytes: of every part but the last.
        chunks_per_part: k of the module's rule.
        part_count: 1 or more; an empty object has one empty part.
        single_put: the whole object goes in one PUT, no multipart upload is needed.
    """

    size_bytes: int
    part_size_bytes: int
    chunks_per_part: int
    part_count: int
    single_put: bool

    def part(self, number: int) -> PartRange:
        """The part with this number, from 1 to `part_count`."""
        if not 1 <= number <= self.part_count:
            raise ValueError(f"part {number} of {self.part_count}")
        offset = (number - 1) * self.part_size_bytes
        return PartRange(number, offset, min(self.part_size_bytes, self.size_bytes - offset))

    def __iter__(self) -> Iterator[PartRange]:
        return map(self.part, range(1, self.part_count + 1))


def plan_parts(size_bytes: int, chunk_size_bytes: int, limits: S3Limits = AWS_LIMITS) -> PartPlan:
    """Cut an object into parts.

    Args:
        size_bytes: of the object, 0 or more.
        chunk_size_bytes: of the pack's chunks, 1 or more.
        limits: of the endpoint.

    Raises:
        UsageError: the store cannot hold the object, or no whole number of chunks makes a part it takes.
    """
    if size_bytes < 0 or chunk_size_bytes < 1:
        raise ValueError(f"size {size_bytes} bytes in chunks of {chunk_size_bytes} bytes")
    if size_bytes > limits.object_max_bytes:
        raise UsageError(
            f"an object of {size_bytes:,} bytes; the store takes at most {limits.object_max_bytes:,} bytes",
            remedy="leave the file out, or use a store with larger objects",
        )
    chunks = _chunks_per_part(size_bytes, chunk_size_bytes, limits)
    part_size = chunks * chunk_size_bytes
    return PartPlan(
        size_bytes=size_bytes,
        part_size_bytes=part_size,
        chunks_per_part=chunks,
        part_count=max(1, _ceil(size_bytes, part_size)),
        single_put=size_bytes <= min(part_size, limits.single_put_max_bytes),
    )


def _chunks_per_part(size_bytes: int, chunk_size_bytes: int, limits: S3Limits) -> int:
    needed = max(1, _ceil(size_bytes, limits.parts_max * chunk_size_bytes))
    if size_bytes > needed * chunk_size_bytes:  # more than one part: the minimum holds for all but the last
        needed = max(needed, _ceil(limits.part_min_bytes, chunk_size_bytes))
    most = limits.part_max_bytes // chunk_size_bytes
    if needed > most:
        raise UsageError(
            f"{size_bytes:,} bytes in chunks of {chunk_size_bytes:,} bytes need parts of "
            f"{needed * chunk_size_bytes:,} bytes, the store takes {limits.part_max_bytes:,}",
            remedy="prepare the device with a smaller chunk size",
        )
    return min(most, max(needed, TARGET_PART_SIZE_BYTES // chunk_size_bytes))


def _ceil(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
