"""export, the job: fills devices from a bucket."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace

from transfer.errors import UsageError
from transfer.jobs.export.bucket import BucketSource
from transfer.jobs.export.inventory_files import Report, get_report
from transfer.jobs.export.opening import open_bucket
from transfer.jobs.export.options import ExportOptions
from transfer.jobs.filling.job import fill
from transfer.jobs.filling.result import Announcer, FillResult, Observer
from transfer.jobs.workers.process import WorkerProcess
from transfer.stores.contract import Store


async def export(
    roots: Sequence[str],
    options: ExportOptions,
    observe: Observer,
    announce: Announcer,
    ready: WorkerProcess | None = None,
) -> FillResult:
    """Bring objects of a bucket onto devices; goes on where it stopped.

    Args:
        roots: the devices, of one job.
        options: of the command.
        observe: told the progress now and then.
        announce: told once what was found on the device and where the export goes on.
        ready: a worker process that was started before, to save that time.

    Raises:
        UsageError: lists or reports cannot be read, or the bucket keeps no versions where some are wanted.
        StoreError, AccessError: the bucket cannot be read; what came before is committed.
        LockedError, DeviceError, TransferError: as `fill`.
    """
    address = options.address

    async def opened(bucket: str) -> Store:
        return await open_bucket(
            replace(address, bucket=bucket), bwlimit=options.bwlimit, connections=options.connections
        )

    with tempfile.TemporaryDirectory(prefix="transfer-export-") as folder:
        report: Report | None = None
        if options.inventory is not None:
            report = await get_report(options.inventory, folder, opened)
        store = await opened(address.bucket)
        try:
            await _check_versions(store, options)
            source = BucketSource(store, options, report, ready)
            return await fill(source, roots, options, observe, announce, verb="export")
        finally:
            await store.aclose()


async def _check_versions(store: Store, options: ExportOptions) -> None:
    """Raise UsageError where versions are wanted of a bucket that keeps none."""
    if (options.history or options.as_of is not None) and await store.versioning() == "off":
        raise UsageError(
            f"the bucket {options.address.bucket} keeps no versions",
            remedy="export without --versions all and --as-of",
        )
