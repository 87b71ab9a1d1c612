"""What the tests of export share: buckets in memory, and exports of them without worker processes.

`LocalPool` does in the test's own event loop what worker processes do, with the same code.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.jobs.copy.copying import prepared
from transfer.core.object_metadata import NO_METADATA, ObjectMetadata
from transfer.core.object_selection import Selection
from transfer.core.records import DeleteMarker, Failed, File, Skipped
from transfer.device.device import open_device, take_inventory
from transfer.device.manifest import Manifest, read_manifest
from transfer.jobs.export import bucket as bucket_module
from transfer.jobs.export.bucket import BucketSource
from transfer.jobs.export.opening import fetcher_of
from transfer.jobs.export.options import ExportOptions
from transfer.jobs.export.work import BucketAddress, FetchOptions, ObjectBatch
from transfer.jobs.export.worker import BatchWork
from transfer.jobs.filling.job import fill
from transfer.jobs.filling.outcome import Outcome
from transfer.jobs.filling.result import FillResult
from transfer.stores.checksums import checksums_of
from transfer.stores.contract import ObjectBody, ObjectInfo, Store
from transfer.stores.memory import MemoryStore

CHUNK = 64 << 10


class LocalPool:
    """A `FetchPool` without processes."""

    store: Store

    def __init__(self, options: FetchOptions, size: int, outcomes: int, ready: object = None) -> None:
        self._work = BatchWork(fetcher_of(self.store, options), options)

    async def pack(self, batch: ObjectBatch) -> Outcome:
        return await self._work.pack(batch)

    def give_back(self, outcome: Outcome) -> None: ...

    def close(self) -> None: ...


async def export_from(store: Store, *devices: Path, prefix: str = "", **options: Any) -> FillResult:
    """Export a store to devices in this process."""
    selection = Selection(prefix, options.pop("begin", ""), options.pop("end", ""))
    report = options.pop("report", None)
    chosen = ExportOptions(
        **{
            "address": BucketAddress("bucket"),
            "selection": selection,
            "workers": 2,
            "connections": 8,
            **options,
        }
    )
    source = BucketSource(store, chosen, report)
    kept, bucket_module.FetchPool = bucket_module.FetchPool, LocalPool  # type: ignore[assignment,misc]
    LocalPool.store = store
    try:
        roots = [os.fspath(device) for device in devices]
        return await fill(source, roots, chosen, lambda seen: None, lambda found: None, verb="export")
    finally:
        bucket_module.FetchPool = kept  # type: ignore[misc]


async def put(store: MemoryStore, key: str, data: bytes, metadata: ObjectMetadata = NO_METADATA) -> str:
    """Write an object; its version id."""
    done = await store.put(key, [data], checksums=checksums_of([data]), metadata=metadata)
    return done.version_id or ""


def manifest_of(device: Path) -> Manifest:
    """All committed segments."""
    opened = open_device(os.fspath(device))
    return read_manifest(opened, take_inventory(opened.layout).segments)


def entries(device: Path) -> list[File | DeleteMarker]:
    """The entries of the merged view, in order."""
    return [record for _, record in manifest_of(device).merged() if isinstance(record, File | DeleteMarker)]


def objects(device: Path) -> dict[str, File]:
    """The objects of the merged view, by key."""
    return {record.path: record for record in entries(device) if isinstance(record, File)}


def troubles(device: Path) -> dict[str, str]:
    """Why keys failed or were skipped, in the merged view."""
    merged = manifest_of(device).merged()
    return {record.path: record.reason for _, record in merged if isinstance(record, Failed | Skipped)}


def new_device(place: Path) -> Path:
    """A prepared device with tiny packs and chunks."""
    return prepared(place)


Happening = Callable[[str, "Meddler"], Any]


@dataclass
class Meddler:
    """A store whose gets can be watched and meddled with.

    Attributes:
        before: awaited before each get, with its key; may raise.
        damage: keys whose bytes are damaged on their way, and how often still.
        gets: key, version, offset of each, in order.
        tells_sums: whether the store has checksums of its objects.
    """

    store: MemoryStore
    before: Happening | None = None
    damage: dict[str, int] = field(default_factory=dict)
    gets: list[tuple[str, str | None, int]] = field(default_factory=list)
    tells_sums: bool = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def fetched(self) -> list[str]:
        """The keys that were fetched, sorted, each once."""
        return sorted({key for key, _, _ in self.gets})

    @asynccontextmanager
    async def get(
        self, key: str, *, version_id: str | None = None, offset_bytes: int = 0, **more: Any
    ) -> AsyncIterator[ObjectBody]:
        """See `Store.get`."""
        self.gets.append((key, version_id, offset_bytes))
        if self.before is not None:
            await self.before(key, self)
        async with self.store.get(key, version_id=version_id, offset_bytes=offset_bytes, **more) as body:
            if self.damage.get(key, 0):
                self.damage[key] -= 1
                yield _Damaged(body, self._told(body.info))
            else:
                yield body if self.tells_sums else _Bare(body, self._told(body.info))

    async def head(self, key: str, **more: Any) -> ObjectInfo:
        """See `Store.head`."""
        return self._told(await self.store.head(key, **more))

    def _told(self, info: ObjectInfo) -> ObjectInfo:
        if self.tells_sums:
            return info
        return replace(info, crc64nvme=None, crc32c=None, checksums={}, encrypted_by="aws:kms")


class _Bare:
    """A body of which the store tells something else."""

    def __init__(self, body: ObjectBody, info: ObjectInfo) -> None:
        self.info = info
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._body:
            yield piece


class _Damaged(_Bare):
    """A body with its first bit flipped."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        is_first = True
        async for piece in self._body:
            yield bytes([piece[0] ^ 1]) + piece[1:] if is_first else piece
            is_first = False
