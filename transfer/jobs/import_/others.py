"""What has no content of its own in the packs: hard links, folders, symbolic links, and what the device says it lacks.

Settled from the merged view after all files, because a hard link needs its file to be in the bucket. Hard links become copies that the store makes by
itself; a folder without entries becomes an empty object whose key ends in "/"; symbolic links go as asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

from awscrt.checksums import crc32c, crc64nvme

from transfer.core.merge import PathRecord
from transfer.core.object_keys import LINK_SUFFIX, object_key
from transfer.core.object_metadata import ObjectMetadata, check_metadata
from transfer.core.records import Directory, Entry, Failed, File, Hardlink, Metadata, Skipped, Symlink
from transfer.device.path_table import PathTable
from transfer.errors import TransferError
from transfer.jobs.import_.files import IMPORTED, object_metadata
from transfer.jobs.import_.options import ImportOptions, Symlinks
from transfer.jobs.import_.outcome import Outcome
from transfer.stores.contract import Checksums, Store

_FOLDER_TYPE = "application/x-directory"
_STEP = 256


class OtherSender:
    """Sends what is left when the files are in the bucket."""

    def __init__(self, store: Store, options: ImportOptions, outcome: Outcome, links: PathTable) -> None:
        self._store = store
        self._options = options
        self._outcome = outcome
        self._links = links
        self._requests = asyncio.Semaphore(options.requests)
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, merged: Iterator[PathRecord]) -> None:
        """Go through the merged view of the device."""
        entries = _with_emptiness(merged)
        while batch := await asyncio.to_thread(_take, entries):
            for path, record, is_empty in batch:
                await self._one(path, record, is_empty)
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        """Cancel what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _one(self, path: bytes, record: Entry, is_empty: bool) -> None:
        match record:
            case Failed():
                self._fell(path, f"not on the device: {record.reason} at the source {record.detail}".rstrip())
            case Skipped():
                self._fell(path, f"not on the device: {record.reason} at the source")
            case Directory():
                await self._folder(path, record, is_empty)
            case Hardlink():
                await self._hardlink(path, record)
            case Symlink():
                await self._symlink(path, record)
            case File(changed=True):
                self._fell(path, "imported, but the file changed at the source while it was being read")

    async def _folder(self, path: bytes, record: Directory, is_empty: bool) -> None:
        if not is_empty:
            self._outcome.folders_implied += 1
            return
        if self._options.filter.may_descend(path):
            await self._put(path, path, record, b"", _FOLDER_TYPE)

    async def _hardlink(self, path: bytes, record: Hardlink) -> None:
        if not self._options.filter.accepts_file(path, record.size_bytes):
            return
        target = record.target_bytes
        state = self._links.get(target)
        if state != IMPORTED:
            reason = state or "it was not imported"
            self._fell(path, f"hard link to {target.decode(errors='backslashreplace')}: {reason}", record.size_bytes)
            return
        source, _ = object_key(self._options.prefix, target, self._options.limits)
        key, problem = object_key(self._options.prefix, path, self._options.limits)
        if problem:
            self._fell(path, problem, record.size_bytes)
            return
        await self._start(self._copy(source, key, record.size_bytes))

    async def _copy(self, source: str, key: str, size_bytes: int) -> None:
        try:
            await self._store.copy(source, key)
            self._outcome.succeeded(key, size_bytes, "")
        except TransferError as error:
            self._outcome.fell(key, size_bytes, "", str(error))

    async def _symlink(self, path: bytes, record: Symlink) -> None:
        match self._options.symlinks:
            case Symlinks.SKIP:
                self._outcome.symlinks_skipped += 1
            case Symlinks.REPORT:
                target = record.target_bytes.decode(errors="backslashreplace")
                self._fell(path, f"symbolic link to {target}: a bucket has none (see --symlinks)")
            case Symlinks.RCLONE:
                await self._put(path, path + LINK_SUFFIX.encode(), record, record.target_bytes, "text/plain")

    async def _put(self, path: bytes, name: bytes, record: Metadata, body: bytes, content_type: str) -> None:
        key, problem = object_key(self._options.prefix, name, self._options.limits)
        metadata = ObjectMetadata(content_type=content_type, user=object_metadata(record).user)
        problem = problem or check_metadata(metadata, self._options.limits) or ""
        if problem:
            self._fell(path, problem)
            return
        await self._start(self._send(key, body, metadata))

    async def _send(self, key: str, body: bytes, metadata: ObjectMetadata) -> None:
        checksums = Checksums(crc64nvme(body), crc32c(body))
        try:
            await self._store.put(key, [body], checksums=checksums, metadata=metadata)
            self._outcome.succeeded(key, len(body), "")
        except TransferError as error:
            self._outcome.fell(key, len(body), "", str(error))

    def _fell(self, path: bytes, reason: str, size_bytes: int = 0) -> None:
        key, _ = object_key(self._options.prefix, path, self._options.limits)
        self._outcome.fell(key, size_bytes, "", reason)

    async def _start(self, request: Coroutine[Any, Any, None]) -> None:
        await self._requests.acquire()
        task = asyncio.create_task(request)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._requests.release()


def _with_emptiness(merged: Iterator[PathRecord]) -> Iterator[tuple[bytes, Entry, bool]]:
    """Each entry, and for a folder whether nothing of the device lies in it."""
    held: PathRecord | None = None
    for path, record in merged:
        if held is not None and path != held[0]:
            yield *held, not path.startswith(held[0])
            held = None
        if isinstance(record, Directory):
            held = (path, record)
        else:
            yield path, record, False
    if held is not None:
        yield *held, True


def _take(entries: Iterator[tuple[bytes, Entry, bool]]) -> list[tuple[bytes, Entry, bool]]:
    """The next entries that need anything done; plain files are passed over."""
    batch: list[tuple[bytes, Entry, bool]] = []
    for entry in entries:
        if not isinstance(entry[1], File) or entry[1].changed:
            batch.append(entry)
            if len(batch) >= _STEP:
                break
    return batch
