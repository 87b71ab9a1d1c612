"""Imports into a bucket in memory, in the test's own event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from transfer.core.s3_limits import AWS_LIMITS
from transfer.device.clock import timestamp
from transfer.errors import TransferError
from transfer.jobs.import_.job import Import
from transfer.jobs.import_.options import ImportOptions
from transfer.jobs.import_.outcome import Outcome
from transfer.ledger.ledger import Ledger, open_ledger
from transfer.ledger.recorder import FLUSH_AFTER_S, FLUSH_ROWS
from transfer.stores.contract import Store
from transfer.stores.memory import MemoryStore

KIB = 1024
# Parts of two of the small chunks that these tests use.
LIMITS = replace(AWS_LIMITS, part_min_bytes=64 * KIB, part_max_bytes=128 * KIB)
OPTIONS = ImportOptions(bucket="memory", limits=LIMITS, memory_bytes=192 * KIB, requests=3)
SIZES = {"pack_size": "512KiB", "chunk_size": "64KiB", "batch_size": "64KiB"}


@dataclass
class Imported:
    """What came of an import.

    Attributes:
        outcome: its counts.
        error: what ended it early.
        objects: all that is in the bucket, key to content.
        uploads: keys of uploads in parts that were left.
    """

    outcome: Outcome
    error: TransferError | None
    objects: dict[str, bytes]
    uploads: list[str]

    @property
    def failed(self) -> dict[str, str]:
        """Key to reason."""
        return {failure.key: failure.error for failure in self.outcome.failures}

    @property
    def codes(self) -> set[str]:
        """Of the findings."""
        return {finding.code for finding in self.outcome.findings}


async def import_to_memory(
    device: Path,
    options: ImportOptions = OPTIONS,
    store: Store | None = None,
    ledger: Path | None = None,
    report: Path | None = None,
    flush_rows: int = FLUSH_ROWS,
    flush_after_s: float = FLUSH_AFTER_S,
    on_open: Callable[[Ledger], None] = lambda ledger: None,
) -> Imported:
    """Import a device into a new bucket, or through `store`, which may decorate one.

    The ledger is a new one, or lies at `ledger`; `on_open` is told of it when it is open.
    """
    chosen = store or MemoryStore(limits=LIMITS)
    with TemporaryDirectory() as place:
        address = ledger or Path(place, "ledger")
        flushes = {"flush_rows": flush_rows, "flush_after_s": flush_after_s}
        async with open_ledger(os.fspath(address), timestamp, **flushes) as opened:  # type: ignore[arg-type]
            on_open(opened)
            job = Import(os.fspath(device), chosen, options, opened, report and os.fspath(report))
            error = None
            try:
                await job.run()
            except TransferError as raised:
                error = raised
    bucket = getattr(chosen, "store", chosen)  # what is decorated: to look is no call of the import's
    return Imported(job.outcome, error, await objects_in(bucket), await uploads_in(bucket))


def run_import(
    device: Path,
    options: ImportOptions = OPTIONS,
    store: Store | None = None,
    ledger: Path | None = None,
    report: Path | None = None,
) -> Imported:
    """As `import_to_memory`, in an event loop of its own."""
    return asyncio.run(import_to_memory(device, options, store, ledger, report))


async def objects_in(store: Store) -> dict[str, bytes]:
    """Key to content."""
    objects: dict[str, bytes] = {}
    async for item in store.list():
        async with store.get(item.key) as body:
            objects[item.key] = b"".join([piece async for piece in body])
    return objects


async def uploads_in(store: Store) -> list[str]:
    """The keys of uploads that are open."""
    return [upload.key async for upload in store.list_uploads()]
