"""Whether the object of a key is what the manifest says: by what the store itself answers, now.

Best first: CRC64NVME or CRC32C of the whole object, which the store took when the object was written and
gives with a HEAD; else, where that was asked for, its bytes, all of them read, by BLAKE3. ETags are no
evidence: of objects in parts and of encrypted ones they are no digests of the content. An object of no bytes
needs none.

A CRC is no proof against somebody who wants to deceive: whoever may write to the bucket can make other bytes
of the same CRC. And the store tells the sum that it keeps, it does not read its disks for that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from blake3 import blake3
from msgspec import Struct

from transfer.errors import NotFoundError, TransferError
from transfer.formats.certificate import State
from transfer.formats.certificate_entries import EvidenceKind
from transfer.jobs.comparing.originals import Content
from transfer.jobs.import_.health import EndpointHealth
from transfer.stores.contract import ListedObject, ObjectInfo, Store

_DOWNLOADS = 8
_NO_SUM = "the store has no checksum of the whole object; --download reads it and compares"


class Finding(Struct, frozen=True):
    """What was found of one object.

    Attributes:
        evidence: how it was proved to be what it should be; empty where it was not.
        state: why it was not.
        info: what a HEAD told, where there was one.
    """

    evidence: EvidenceKind | None = None
    state: State | None = None
    reason: str = ""
    info: ObjectInfo | None = None


class Examiner:
    """Examines objects, several at once.

    Args:
        store: the bucket.
        health: watches the calls.
        download: read the objects of which the store has no checksum.
        trusts_checksums: a checksum of the store will do; else all objects are read.
        tell: told how many bytes more were read.
    """

    def __init__(
        self,
        store: Store,
        health: EndpointHealth,
        *,
        download: bool,
        trusts_checksums: bool = True,
        tell: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._store = store
        self._health = health
        self._download = download
        self._trusts_checksums = trusts_checksums
        self._tell = tell
        self._downloading = asyncio.Semaphore(_DOWNLOADS)

    async def examine(self, key: str, content: Content, listed: ListedObject | None) -> Finding:
        """What is found of an object; `listed` is None where the listing does not have it.

        Raises:
            StoreLostError: the endpoint is lost.
        """
        if listed is not None and listed.size_bytes != content.size_bytes:
            return _other_size(listed.size_bytes, content)
        if listed is not None and not content.size_bytes:
            return Finding("empty")
        try:
            return await self._compare(key, content)
        except NotFoundError:
            return Finding(state="missing", reason="the bucket has no object of this key")
        except TransferError as error:
            return Finding(state="unproved", reason=str(error))

    async def _compare(self, key: str, content: Content) -> Finding:
        info = await self._health.watch(self._store.head(key))
        if info.size_bytes != content.size_bytes:
            return _other_size(info.size_bytes, content)
        if not content.size_bytes:
            return Finding("empty", info=info)
        by_sum = compare_sums(info, content)
        if by_sum is not None and (self._trusts_checksums or by_sum.evidence is None):
            return by_sum
        if not self._download:
            return Finding(state="unproved", reason=_NO_SUM, info=info)
        async with self._downloading:
            digest = await self._health.watch(self._digest(key, info.etag))
        if digest == content.blake3:
            return Finding("download", info=info)
        return Finding(state="different", reason="the bytes in the bucket are others", info=info)

    async def _digest(self, key: str, etag: str) -> str:
        digest = blake3()
        async with self._store.get(key, if_match=etag or None) as body:
            async for piece in body:
                digest.update(piece)
                self._tell(len(piece))
        return digest.hexdigest()


def compare_sums(info: ObjectInfo, content: Content) -> Finding | None:
    """What the store's checksums tell; None where it has none of the whole object."""
    kinds: list[tuple[EvidenceKind, int | None, str]] = [
        ("crc64nvme", info.crc64nvme, content.crc64nvme),
        ("crc32c", info.crc32c, content.crc32c),
    ]
    told = [(kind, there == int(ours, 16)) for kind, there, ours in kinds if there is not None]
    for kind, is_same in told:
        if not is_same:
            reason = f"the store's {kind.upper()} of the object is another than that of the entry"
            return Finding(state="different", reason=reason, info=info)
    return Finding(told[0][0], info=info) if told else None


def _other_size(size_bytes: int, content: Content) -> Finding:
    reason = f"the object has {size_bytes:,} bytes, the entry has {content.size_bytes:,}"
    return Finding(state="different", reason=reason)
