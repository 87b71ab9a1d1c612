"""The sums of an object's content, and comparing them with what the store says of it.

CRC-64/NVME and CRC-32C are computed anyway and cost nothing to compare; another sum is computed only
where the store tells of no other.
"""

from __future__ import annotations

from typing import NamedTuple

from awscrt.checksums import crc32c, crc64nvme
from blake3 import blake3

from transfer.stores.content_check import ContentCheck, has_composite_only, known_sums_hold
from transfer.stores.contract import Checksums, ObjectInfo, Store


class Sums(NamedTuple):
    """The three sums of some content."""

    blake3: str
    crc64nvme: int
    crc32c: int


def sums_of(data: bytes) -> Sums:
    """All three."""
    return Sums(blake3(data).hexdigest(), crc64nvme(data), crc32c(data))


async def first_part_bytes(store: Store, info: ObjectInfo, version_id: str | None) -> int | None:
    """The size of the first part, where the store tells no sums but those of the parts of an upload.

    Raises:
        TransferError: the store does not answer.
    """
    return await store.first_part_size(info.key, version_id=version_id) if has_composite_only(info) else None


def new_check(info: ObjectInfo, first_part: int | None) -> ContentCheck | None:
    """A check of content that is yet to come; None where its CRCs are enough."""
    if info.crc64nvme is not None or info.crc32c is not None:
        return None
    return ContentCheck(info, first_part_bytes=first_part)


async def check_content(
    store: Store, info: ObjectInfo, version_id: str | None, data: bytes, sums: Sums
) -> None:
    """Hold the whole content of an object against what the store says of it.

    Raises:
        IntegrityError: it is another.
        TransferError: the store does not answer.
    """
    if known_sums_hold(info, Checksums(sums.crc64nvme, sums.crc32c)) is not None:
        return
    check = new_check(info, await first_part_bytes(store, info, version_id))
    if check is not None and check.name is not None:
        check.update(data)
        check.verify()
