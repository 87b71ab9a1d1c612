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

from transfer.core.merge import Spot, SpottedRecord
from transfer.core.object_keys import LINK_SUFFIX
from transfer.core.paths import display
from transfer.core.records import DeleteMarker, Directory, Entry, Failed, File, Hardlink, Skipped, Symlink
from transfer.errors import PreconditionError, TransferError
from transfer.jobs.import_.arbiter import Arbiter, Judgement, Verdict
from transfer.jobs.import_.emptiness import with_emptiness
from transfer.jobs.import_.entries import Target, is_wanted, link_problem, missing_reason
from transfer.jobs.import_.health import EndpointHealth
from transfer.jobs.import_.links import LinkStates, text_path
from transfer.jobs.import_.objects import facts_of
from transfer.jobs.import_.options import IfExists, ImportOptions, Symlinks
from transfer.jobs.import_.outcome import Outcome, Subject
from transfer.jobs.import_.targets import Targets
from transfer.stores.contract import Checksums, ObjectInfo, PutResult, Store

_STEP = 256
_NO_HEADERS = (
    "it was an object, and is a hard link on the device: a copy of another object cannot have headers of its "
    "own; make it a file of its own in the folder, and copy that again"
)
_OPEN = (Verdict.SEND, Verdict.COMPARE)


class OtherSender:
    """Sends what is left when the files are in the bucket.

    Args:
        store: where to.
        options: of the import.
        exclusive: objects are written with the precondition that there is none.
        arbiter: decides where there is an object already.
        outcome: told what became of each entry.
        links: what became of the files that hard links name.
        targets: where entries go.
        health: watches the calls to the store.
        tasks: where requests run.
    """

    def __init__(
        self,
        *,
        store: Store,
        options: ImportOptions,
        exclusive: bool,
        arbiter: Arbiter,
        outcome: Outcome,
        links: LinkStates,
        targets: Targets,
        health: EndpointHealth,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._store = store
        self._options = options
        self._exclusive = exclusive
        self._arbiter = arbiter
        self._outcome = outcome
        self._links = links
        self._targets = targets
        self._health = health
        self._tasks = tasks
        self._requests = asyncio.Semaphore(options.requests)

    async def send(self, entries: Iterator[SpottedRecord]) -> None:
        """Go through the merged view of the device; returns when all requests are under way."""
        await self._arbiter.start_pass()
        sent_links = self._options.symlinks is Symlinks.RCLONE
        told = with_emptiness(entries, symlinks_have_keys=sent_links)
        while batch := await asyncio.to_thread(_take, told):
            for (path, record, spot), is_empty in batch:
                is_object = facts_of(record) is not None
                if is_wanted(path, _size_of(record), self._options.filter, is_object=is_object):
                    await self._one(path, record, spot, is_empty)

    async def _one(self, path: bytes, record: Entry, spot: Spot, is_empty: bool) -> None:
        match record:
            case Failed() | Skipped():
                await self._fell(spot, path, missing_reason(record))
            case Directory():
                await self._folder(path, record, spot, is_empty)
            case Hardlink():
                await self._hardlink(path, record, spot)
            case Symlink():
                await self._symlink(path, record, spot)
            case File():
                await self._fell(
                    spot, path, "imported, but the file changed at the source while it was being read"
                )

    async def _folder(self, path: bytes, record: Directory, spot: Spot, is_empty: bool) -> None:
        if not is_empty and not self._targets.is_listed(path):
            self._outcome.folders_implied += 1
        elif self._options.filter.accepts_file(path):
            await self._put(spot, path, self._targets.of(path, record, 0), b"")

    async def _hardlink(self, path: bytes, record: Hardlink, spot: Spot) -> None:
        state = self._links.source(path, record)
        if text_path(state.stand_in) == path:  # it went with the files, and was counted there
            return
        target = self._targets.of(path, record, record.size_bytes)
        problem = target.problem
        if not problem and self._targets.is_listed(path):
            problem = _NO_HEADERS
        if state.problem:
            problem = f"hard link to {display(record.target_bytes)}: {state.problem}"
        if problem:
            await self._fell(spot, path, problem, record.size_bytes, integrity=state.is_lost)
            return
        source = self._targets.key(text_path(state.stand_in) or record.target_bytes)
        subject = Subject(spot, path, target.key, record.size_bytes, state.blake3)
        judgement = await self._arbiter.judge(target.key, record.size_bytes, spot)
        if judgement.verdict in _OPEN:
            await self._start(self._copy(subject, source, state.etag, judgement))
        else:
            await self._conclude(subject, judgement)

    async def _copy(self, subject: Subject, source: str, etag: str, judgement: Judgement) -> None:
        try:
            if judgement.verdict is Verdict.COMPARE:
                judgement = await self._compare_copy(subject, source, judgement)
            if judgement.verdict is Verdict.SEND:
                copied = await self._copy_of(subject, source, etag)
                await self._outcome.succeeded(subject, copied.etag)
            else:
                await self._conclude(subject, judgement)
        except TransferError as error:
            await self._outcome.fell(subject, str(error))

    async def _copy_of(self, subject: Subject, source: str, etag: str) -> PutResult:
        try:
            return await self._health.watch(self._store.copy(source, subject.key, if_match=etag))
        except PreconditionError:
            # Some stores show an object in parts under another ETag than they answered with.
            there = await self._arbiter.look(source)
            if there is None or not await self._reads_as(subject, there):
                raise
            return await self._health.watch(self._store.copy(source, subject.key, if_match=there.etag))

    async def _compare_copy(self, subject: Subject, source: str, judgement: Judgement) -> Judgement:
        """A link's object is the same as its file's, if the store says so of both."""
        there, original = await self._arbiter.look(subject.key), await self._arbiter.look(source)
        if there is None or original is None:
            return Judgement(Verdict.SEND)
        same = _is_copy(there, original)
        if same is None and self._options.if_exists is not IfExists.OVERWRITE:
            same = await self._reads_as(subject, there)
        return self._arbiter.weigh(there, subject.size_bytes, same, judgement.recorded)

    async def _reads_as(self, subject: Subject, there: ObjectInfo) -> bool:
        """Whether an object has the content of a link's file, told by reading it back.

        Where the store has no checksums, the ETag of a copy may be another than that of an object in parts;
        and one that was made at the last moment before the process was killed is not in the ledger.
        """
        digest = blake3()
        async with self._store.get(there.key, if_match=there.etag) as body:
            async for piece in body:
                digest.update(piece)
        return digest.hexdigest() == subject.blake3

    async def _symlink(self, path: bytes, record: Symlink, spot: Spot) -> None:
        match self._options.symlinks:
            case Symlinks.SKIP:
                self._outcome.symlinks_skipped += 1
            case Symlinks.REPORT:
                await self._fell(spot, path, link_problem(record))
            case Symlinks.RCLONE:
                target = self._targets.of(path, record, len(record.target_bytes))
                if self._links.is_taken(path + LINK_SUFFIX.encode()):
                    target = Target(target.key, target.metadata, "a file of the device has the same key")
                await self._put(spot, path, target, record.target_bytes)

    async def _put(self, spot: Spot, path: bytes, target: Target, body: bytes) -> None:
        subject = Subject(spot, path, target.key, len(body), blake3(body).hexdigest())
        if target.problem:
            await self._outcome.fell(subject, target.problem)
            return
        judgement = await self._arbiter.judge(target.key, len(body), spot)
        if judgement.verdict in _OPEN:
            await self._start(self._send(subject, target, body, judgement))
        else:
            await self._conclude(subject, judgement)

    async def _send(self, subject: Subject, target: Target, body: bytes, judgement: Judgement) -> None:
        sums = Checksums(crc64nvme(body), crc32c(body))
        try:
            if judgement.verdict is Verdict.COMPARE:
                judgement = await self._arbiter.compare(
                    target.key, len(body), sums, body=body, recorded=judgement.recorded
                )
            if judgement.verdict is Verdict.SEND:
                await self._send_now(subject, target, body, sums)
            else:
                await self._conclude(subject, judgement)
        except TransferError as error:
            await self._outcome.fell(subject, str(error))

    async def _send_now(self, subject: Subject, target: Target, body: bytes, sums: Checksums) -> None:
        call = self._store.put(
            target.key, [body], checksums=sums, metadata=target.metadata, if_none_match=self._exclusive
        )
        try:
            sent = await self._health.watch(call)
        except PreconditionError:
            there = await self._arbiter.compare(target.key, len(body), sums, body=body, raced=True)
            await self._conclude(subject, there)
        else:
            await self._outcome.succeeded(subject, sent.etag)

    async def _conclude(self, subject: Subject, judgement: Judgement) -> None:
        match judgement.verdict:
            case Verdict.DONE:
                await self._outcome.was_there(subject, judgement.etag, judgement.recorded)
            case Verdict.SKIP:
                await self._outcome.skip(subject, judgement.reason)
            case _:
                reason = judgement.reason or "another writer came between; give the command again"
                await self._outcome.fell(subject, reason)

    async def _fell(
        self, spot: Spot, path: bytes, reason: str, size_bytes: int = 0, *, integrity: bool = False
    ) -> None:
        subject = Subject(spot, path, self._targets.key(path), size_bytes)
        await self._outcome.fell(subject, reason, integrity=integrity)

    async def _start(self, request: Coroutine[Any, Any, None]) -> None:
        try:
            await self._requests.acquire()
        except BaseException:
            request.close()
            raise
        task = self._tasks.create_task(request)
        task.add_done_callback(lambda _: self._requests.release())


def _size_of(record: Entry) -> int | None:
    return record.size_bytes if isinstance(record, File | Hardlink) else None


def _is_copy(there: ObjectInfo, original: ObjectInfo) -> bool | None:
    if there.size_bytes != original.size_bytes:
        return False
    if there.etag == original.etag:
        return True
    pairs = ((there.crc64nvme, original.crc64nvme), (there.crc32c, original.crc32c))
    return next((one == other for one, other in pairs if one is not None and other is not None), None)


def _take(entries: Iterator[tuple[SpottedRecord, bool]]) -> list[tuple[SpottedRecord, bool]]:
    """The next entries that need anything done; plain files are passed over."""
    batch: list[tuple[SpottedRecord, bool]] = []
    for told in entries:
        record = told[0][1]
        if not isinstance(record, File | DeleteMarker) or getattr(record, "changed", False):
            batch.append(told)
            if len(batch) >= _STEP:
                break
    return batch
