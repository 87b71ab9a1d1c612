"""What has no content in the packs: hard links, folders, symbolic links, and what the device lacks.

Settled from the merged view after all files, because a hard link needs its file to be in the bucket. A hard
link becomes a copy that the store makes by itself, of the very object that was written before (by its ETag);
a folder with nothing in it that has a key becomes an empty object whose key ends in "/"; symbolic links go as
asked. The filter decides about all of them, also about what is reported as missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

from awscrt.checksums import crc32c, crc64nvme
from blake3 import blake3

from transfer.core.merge import PathRecord
from transfer.core.object_keys import LINK_SUFFIX
from transfer.core.paths import display
from transfer.core.records import Directory, Entry, Failed, File, Hardlink, Skipped, Symlink
from transfer.errors import TransferError
from transfer.jobs.import_.entries import Target, is_wanted, key_of, link_problem, target_of
from transfer.jobs.import_.health import EndpointHealth
from transfer.jobs.import_.links import LinkState, LinkStates, text_path
from transfer.jobs.import_.options import ImportOptions, Symlinks
from transfer.jobs.import_.outcome import Outcome
from transfer.stores.contract import Checksums, Store

_STEP = 256


class OtherSender:
    """Sends what is left when the files are in the bucket.

    Args:
        store: where to.
        options: of the import.
        outcome: told what became of each entry.
        links: what became of the files that hard links name.
        health: watches the calls to the store.
        tasks: where requests run.
    """

    def __init__(
        self,
        *,
        store: Store,
        options: ImportOptions,
        outcome: Outcome,
        links: LinkStates,
        health: EndpointHealth,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._store = store
        self._options = options
        self._outcome = outcome
        self._links = links
        self._health = health
        self._tasks = tasks
        self._requests = asyncio.Semaphore(options.requests)

    async def send(self, entries: Iterator[PathRecord]) -> None:
        """Go through the merged view of the device; returns when all requests are under way."""
        sent_links = self._options.symlinks is Symlinks.RCLONE
        told = with_emptiness(entries, symlinks_have_keys=sent_links)
        while batch := await asyncio.to_thread(_take, told):
            for path, record, is_empty in batch:
                if is_wanted(path, _size_of(record), self._options.filter):
                    await self._one(path, record, is_empty)

    async def _one(self, path: bytes, record: Entry, is_empty: bool) -> None:
        match record:
            case Failed() | Skipped():
                self._fell(path, missing_reason(record))
            case Directory():
                await self._folder(path, record, is_empty)
            case Hardlink():
                await self._hardlink(path, record)
            case Symlink():
                await self._symlink(path, record)
            case File():
                self._fell(path, "imported, but the file changed at the source while it was being read")

    async def _folder(self, path: bytes, record: Directory, is_empty: bool) -> None:
        if not is_empty:
            self._outcome.folders_implied += 1
        elif self._options.filter.accepts_file(path):
            await self._put(target_of(path, record, 0, self._options), b"")

    async def _hardlink(self, path: bytes, record: Hardlink) -> None:
        state = self._links.source(path, record)
        if text_path(state.stand_in) == path:  # it went with the files, and was counted there
            return
        target = target_of(path, record, record.size_bytes, self._options)
        problem = target.problem
        if state.problem:
            problem = f"hard link to {display(record.target_bytes)}: {state.problem}"
        if problem:
            self._fell(path, problem, record.size_bytes, integrity=state.is_lost)
            return
        source = key_of(text_path(state.stand_in) or record.target_bytes, self._options)
        await self._start(self._copy(source, target.key, state, record.size_bytes))

    async def _copy(self, source: str, key: str, state: LinkState, size_bytes: int) -> None:
        try:
            await self._health.watch(self._store.copy(source, key, if_match=state.etag))
        except TransferError as error:
            self._outcome.fell(key, size_bytes, state.blake3, str(error))
        else:
            self._outcome.succeeded(key, size_bytes, state.blake3)

    async def _symlink(self, path: bytes, record: Symlink) -> None:
        match self._options.symlinks:
            case Symlinks.SKIP:
                self._outcome.symlinks_skipped += 1
            case Symlinks.REPORT:
                self._fell(path, link_problem(record))
            case Symlinks.RCLONE:
                target = target_of(path, record, len(record.target_bytes), self._options)
                if self._links.is_taken(path + LINK_SUFFIX.encode()):
                    target = Target(target.key, target.metadata, "a file of the device has the same key")
                await self._put(target, record.target_bytes)

    async def _put(self, target: Target, body: bytes) -> None:
        if target.problem:
            self._outcome.fell(target.key, len(body), "", target.problem)
        else:
            await self._start(self._send(target, body))

    async def _send(self, target: Target, body: bytes) -> None:
        digest = blake3(body).hexdigest()
        checksums = Checksums(crc64nvme(body), crc32c(body))
        call = self._store.put(target.key, [body], checksums=checksums, metadata=target.metadata)
        try:
            await self._health.watch(call)
        except TransferError as error:
            self._outcome.fell(target.key, len(body), digest, str(error))
        else:
            self._outcome.succeeded(target.key, len(body), digest)

    def _fell(self, path: bytes, reason: str, size_bytes: int = 0, *, integrity: bool = False) -> None:
        self._outcome.fell(key_of(path, self._options), size_bytes, "", reason, integrity=integrity)

    async def _start(self, request: Coroutine[Any, Any, None]) -> None:
        try:
            await self._requests.acquire()
        except BaseException:
            request.close()
            raise
        task = self._tasks.create_task(request)
        task.add_done_callback(lambda _: self._requests.release())


def missing_reason(record: Failed | Skipped) -> str:
    """Why the device lacks an entry."""
    detail = record.detail if isinstance(record, Failed) else ""
    return f"not on the device: {record.reason} at the source{': ' if detail else ''}{detail}"


def with_emptiness(
    entries: Iterator[PathRecord], *, symlinks_have_keys: bool
) -> Iterator[tuple[bytes, Entry, bool]]:
    """Each entry, not quite in order; of a folder whether nothing in it gets a key."""
    held: tuple[bytes, Directory] | None = None
    for path, record in entries:
        if held is not None and not path.startswith(held[0]):
            yield *held, True
            held = None
        elif held is not None and _has_key(record, symlinks_have_keys):
            yield *held, False
            held = None
        if isinstance(record, Directory):
            held = (path, record)
        else:
            yield path, record, False
    if held is not None:
        yield *held, True


def _has_key(record: Entry, symlinks_have_keys: bool) -> bool:
    return symlinks_have_keys if isinstance(record, Symlink) else not isinstance(record, Failed | Skipped)


def _size_of(record: Entry) -> int | None:
    return record.size_bytes if isinstance(record, File | Hardlink) else None


def _take(entries: Iterator[tuple[bytes, Entry, bool]]) -> list[tuple[bytes, Entry, bool]]:
    """The next entries that need anything done; plain files are passed over."""
    batch: list[tuple[bytes, Entry, bool]] = []
    for entry in entries:
        if not isinstance(entry[1], File) or entry[1].changed:
            batch.append(entry)
            if len(batch) >= _STEP:
                break
    return batch
