"""copy, the job: fills a device from a folder."""

from __future__ import annotations

from collections.abc import Sequence

from transfer.jobs.copy.folder import FolderSource
from transfer.jobs.copy.options import CopyOptions
from transfer.jobs.filling.job import fill
from transfer.jobs.filling.result import Announcer, FillResult, Observer
from transfer.jobs.workers.process import WorkerProcess


async def copy(
    source: str,
    roots: Sequence[str],
    options: CopyOptions,
    observe: Observer,
    announce: Announcer,
    ready: WorkerProcess | None = None,
) -> FillResult:
    """Copy a folder to devices of a job; goes on where it stopped.

    Args:
        source: the folder; its content is copied, not itself.
        roots: the devices.
        options: of the command.
        observe: told the progress now and then.
        announce: told once what was found on the device and where copying goes on.
        ready: a worker process that was started before, to save that time.

    Raises:
        UsageError, LockedError, DeviceError, AccessError, TransferError: as `fill`.
    """
    folder = FolderSource(source, options, ready)
    try:
        return await fill(folder, roots, options, observe, announce)
    finally:
        folder.close()
