"""Reading a folder for one device: what the engine asks of a source (`filling.source.SourceSide`)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterator
from typing import cast

from transfer.core.paths import display, parent
from transfer.device.device import Device
from transfer.errors import TransferError
from transfer.jobs.copy.alike import stat_of
from transfer.jobs.copy.large import LargeFileReader
from transfer.jobs.copy.links import LinkTable
from transfer.jobs.copy.options import CopyOptions
from transfer.jobs.copy.pool import WorkerPool
from transfer.jobs.copy.work import Batch, LargeFile, PackingOptions, PutDirectory, Stat, first_path
from transfer.jobs.filling.chunks import ChunkCoder, ZeroFrames
from transfer.jobs.filling.engine import AT_HAND
from transfer.jobs.filling.large_pieces import ResumedFile
from transfer.jobs.filling.outcome import Outcome, Pending
from transfer.jobs.filling.work import LargeEntry, SmallWork, Work
from transfer.jobs.workers.process import WorkerProcess


class FolderSide:
    """Reads the folder for one device: worker processes for small files, threads for large ones.

    Args:
        folder: the source.
        options: of the command.
        device: that it reads for.
        links: what links must know.
        waiting: how many outcomes are on their way at once, at most.
        ready: a worker process that was started before.
    """

    def __init__(
        self,
        folder: bytes,
        options: CopyOptions,
        device: Device,
        links: LinkTable,
        waiting: int,
        ready: WorkerProcess | None,
    ) -> None:
        document = device.document
        level = options.level or document.level
        packing = PackingOptions(
            source=folder,
            chunk_size_bytes=document.chunk_size_bytes,
            small_limit_bytes=small_limit(device),
            level=level,
            follow_links=options.follow_links,
            xattrs=options.xattrs,
        )
        self._links = links
        self._folder = folder
        self._follow_links = options.follow_links
        self._pool = WorkerPool(packing, options.workers, waiting + AT_HAND, ready)
        self._coder = ChunkCoder(
            workers=options.workers, chunk_size_bytes=document.chunk_size_bytes, level=level
        )
        self._large = LargeFileReader(
            folder, self._coder, follow_links=options.follow_links, xattrs=options.xattrs
        )

    @property
    def zeros(self) -> ZeroFrames:
        """Frames of zero bytes."""
        return self._coder.zeros

    async def pack(self, batch: SmallWork) -> Outcome:
        """What came of a batch."""
        return await self._pool.pack(cast(Batch, batch))

    async def settled(self, batch: SmallWork, outcome: Outcome) -> Outcome:
        """Packed anew where a link's target could not be read after all."""
        orphaned = {target for target in outcome.link_targets if self._links.is_unread(target)}
        if not orphaned:
            return outcome
        self._pool.give_back(outcome)
        return await self._pool.pack(cast(Batch, batch).without_links_to(orphaned))

    def give_back(self, outcome: Outcome) -> None:
        """Remember what links must know of it."""
        self._pool.give_back(outcome)
        for path in outcome.stored_anew:
            self._links.mark_stored_anew(path)
        for problem in outcome.problems:
            if problem.kind in ("failed", "again"):
                self._links.mark_unread(problem.path)

    def read(self, large: LargeEntry) -> AsyncGenerator[Pending, None]:
        """A large file."""
        return self._large.pieces(cast(LargeFile, large))

    def above(self, work: Work, behind: bytes) -> SmallWork | None:
        """The folders that a piece of work is in and the device has not."""
        path, batch = first_path(work), Batch()
        for folder, status in folders_above(self._folder, path, follow_links=self._follow_links):
            if folder > behind:
                batch.add(parent(folder), PutDirectory(folder[len(parent(folder)) :], status), 0)
        return batch if batch.orders else None

    def rest(self, path: bytes, resumed: ResumedFile | None) -> AsyncGenerator[Pending, None]:
        """The rest of a large file."""
        return self._large.pieces(LargeFile(path), resumed)

    def error(self, error: OSError) -> TransferError:
        """The source's own folder cannot be read any more."""
        return source_error(error)

    async def close(self) -> None:
        """Stop threads and processes."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._pool.close()
        self._coder.close()
        self._large.close()


def folders_above(source: bytes, path: bytes, *, follow_links: bool) -> Iterator[tuple[bytes, Stat]]:
    """The folders that a path is in, from the top, as far as they are still there."""
    end = path.find(b"/") + 1
    while 0 < end < len(path):
        try:
            status = os.stat(os.path.join(source, path[:end]), follow_symlinks=follow_links)
        except OSError:  # whoever reads what is in it tells of it
            return
        yield path[:end], stat_of(status)
        end = path.find(b"/", end) + 1


def small_limit(device: Device) -> int:
    """Files up to this size travel in batches."""
    document = device.document
    return min(1 << 20, document.batch_size_bytes, document.chunk_size_bytes)


def source_error(error: OSError) -> TransferError:
    """The error of the product when the source's own folder cannot be read any more."""
    where = f" at {display(os.fsencode(error.filename))}" if isinstance(error.filename, str | bytes) else ""
    return TransferError(
        f"the source cannot be read any more{where}: {error.strerror or error}",
        remedy="check that it is mounted, then give the same command again",
    )
