"""Opened frames to objects: small files in one request each, many at once; large ones in parts.

Frames come in order; what they turn into goes out beside each other, bounded by requests and by the budget of
bytes. An entry fails alone: its reason is noted, all others go on. Requests run in the task group of the
caller; what they raise beyond an entry's own failure ends the job.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from transfer.core.merge import LaterPaths
from transfer.core.object_metadata import ObjectMetadata
from transfer.core.parts import plan_parts
from transfer.core.records import Begin, Chunk, File, Hardlink, Void
from transfer.errors import TransferError
from transfer.jobs.import_.budget import Budget, Hold
from transfer.jobs.import_.entries import is_wanted, key_of, target_of
from transfer.jobs.import_.health import EndpointHealth
from transfer.jobs.import_.links import LinkState, LinkStates, path_text
from transfer.jobs.import_.options import ImportOptions
from transfer.jobs.import_.outcome import Outcome
from transfer.jobs.import_.packs import OpenedFrame
from transfer.jobs.import_.upload import Upload, sums_of
from transfer.stores.contract import PutResult, Store

ABORT_TIMEOUT_S = 30.0
_LEFT_OUT = "the filter leaves it out"
_SUPERSEDED = "a later run replaced it"
_BEGIN_LOST = "its beginning is lost with a damaged segment"


@dataclass(frozen=True, slots=True)
class _Place:
    """The path whose key a file gets, its own or that of a link that stands in; None: nowhere, and why."""

    path: bytes | None
    why: str = ""


@dataclass(slots=True)
class _Large:
    """The large file at hand; without an upload it is left out, or refused for `problem`."""

    path: bytes
    size_bytes: int
    place: _Place
    key: str = ""
    problem: str = ""
    upload: Upload | None = None


@dataclass(frozen=True, slots=True)
class _Sending:
    """A file of a run on its way: the key it goes under, and which link's key that is where not its own."""

    path: bytes
    record: File
    key: str
    run: int
    stand_in: str


class FileSender:
    """Sends the files of one run after the other.

    Args:
        store: where to.
        chunk_size_bytes: of the device.
        options: of the import.
        budget: that frames hold bytes of; raised where two parts of an object are more than all of it.
        outcome: told what became of each file.
        links: told what became of files that hard links may name.
        health: watches the calls to the store.
        tasks: where requests run.
    """

    def __init__(
        self,
        *,
        store: Store,
        chunk_size_bytes: int,
        options: ImportOptions,
        budget: Budget,
        outcome: Outcome,
        links: LinkStates,
        health: EndpointHealth,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._store = store
        self._chunk_size_bytes = chunk_size_bytes
        self._options = options
        self._budget = budget
        self._outcome = outcome
        self._links = links
        self._health = health
        self._tasks = tasks
        self._requests = asyncio.Semaphore(options.requests)
        self._uploads: set[Upload] = set()
        self._large: _Large | None = None
        self._lost_path = b""
        self._later = LaterPaths([])

    def start_run(self, run: int, later: LaterPaths) -> None:
        """A run begins; `later` knows the paths that newer runs have."""
        self.lose_large("the copy was interrupted inside it, and did not go on")
        self._later, self._links.run, self._lost_path = later, run, b""

    async def take(self, opened: OpenedFrame) -> None:
        """Turn the content of a frame into requests; returns when all of them are under way."""
        try:
            for record in opened.group.records:
                match record:
                    case File(offset=int()):
                        await self._small(record, opened)
                    case Begin():
                        self._begin(record)
                    case Chunk():
                        self._chunk(record, opened)
                    case File():
                        self._close(record)
                    case Void():
                        self._give_up()
                    case Hardlink():
                        if not self._later.has(path := record.path_bytes):
                            self._links.meet(path, record)
        finally:
            opened.hold.let_go()

    async def _small(self, record: File, opened: OpenedFrame) -> None:
        path = record.path_bytes
        place = self._place(path, record.size_bytes)
        if place.path is None:
            self._leave_out(path, record, place)
            return
        target = target_of(place.path, record, record.size_bytes, self._options)
        sending = self._sending(path, record, target.key, place)
        self._set_out(sending)
        damage = opened.damage or opened.defects.get(path, "")
        if damage or target.problem:
            self._fell(sending, damage or target.problem, integrity=bool(damage))
            return
        offset = record.offset or 0
        body = memoryview(opened.content)[offset : offset + record.size_bytes]
        await self._requests.acquire()
        hold = opened.hold.share()
        task = self._tasks.create_task(self._put(sending, target.metadata, body))
        task.add_done_callback(lambda _: self._settled(hold))

    def _settled(self, hold: Hold) -> None:
        """A small file's request ended, however: also one that never began."""
        self._requests.release()
        hold.let_go()

    async def _put(self, sending: _Sending, metadata: ObjectMetadata, body: memoryview) -> None:
        call = self._store.put(sending.key, [body], checksums=sums_of(sending.record), metadata=metadata)
        try:
            result = await self._health.watch(call)
        except TransferError as error:
            self._fell(sending, str(error))
        else:
            self._done(sending, result)

    def _begin(self, record: Begin) -> None:
        """A large file begins: decide its key and its parts."""
        path, size = record.path_bytes, record.size_bytes
        place = self._place(path, size)
        self._large = large = _Large(path, size, place)
        if place.path is None:
            return
        target = target_of(place.path, record, size, self._options)
        large.key, large.problem = target.key, target.problem
        if large.problem:
            return
        try:
            plan = plan_parts(size, self._chunk_size_bytes, self._options.limits)
        except TransferError as error:
            large.problem = str(error)
            return
        self._budget.raise_to(2 * plan.part_size_bytes + self._chunk_size_bytes)
        large.upload = Upload(
            store=self._store,
            health=self._health,
            tasks=self._tasks,
            target=target,
            plan=plan,
            on_part=self._outcome.sent_part,
        )
        self._uploads.add(large.upload)

    def _chunk(self, record: Chunk, opened: OpenedFrame) -> None:
        large = self._large
        if large is None or large.upload is None:
            return
        damage = opened.damage or opened.defects.get(record.path_bytes, "")
        if damage:
            large.upload.fail(f"chunk {record.index}: {damage}", damaged=True)
        else:
            large.upload.add(record, opened.content, opened.hold.share())

    def _close(self, record: File) -> None:
        large, self._large = self._large, None
        path = record.path_bytes
        if path == self._lost_path:
            return
        if large is None or large.path != path:  # its begin was lost with a broken segment
            large = _Large(
                path, record.size_bytes, self._place(path, record.size_bytes), key_of(path, self._options)
            )
            large.problem = _BEGIN_LOST
        if large.place.path is None:
            self._leave_out(path, record, large.place)
            return
        sending = self._sending(path, record, large.key, large.place)
        self._set_out(sending)
        if large.upload is None:
            self._fell(sending, large.problem, integrity=large.problem == _BEGIN_LOST)
        else:
            self._tasks.create_task(self._complete(sending, large.upload))

    async def _complete(self, sending: _Sending, upload: Upload) -> None:
        try:
            result = await upload.complete(sending.record)
        except TransferError as error:
            self._outcome.settled_parts(upload.sent_bytes)
            self._fell(sending, upload.failure or str(error), integrity=upload.is_damaged)
            await self._abort(upload)
        else:
            self._uploads.discard(upload)
            self._outcome.settled_parts(upload.sent_bytes)
            self._done(sending, result)

    def _give_up(self) -> None:
        """A void record: the attempt did not count, another may follow."""
        large, self._large = self._large, None
        if large is not None and large.upload is not None:
            self._tasks.create_task(self._abort(large.upload))

    def lose_large(self, reason: str, *, damaged: bool = False) -> None:
        """The large file at hand, if there is one, goes no further."""
        large, self._large = self._large, None
        if large is None:
            return
        self._lost_path = large.path
        if large.problem or large.upload is not None:
            self._outcome.fell(large.key, large.size_bytes, "", large.problem or reason, integrity=damaged)
        if large.upload is not None:
            large.upload.fail(reason, damaged=damaged)
            self._tasks.create_task(self._abort(large.upload))

    async def _abort(self, upload: Upload) -> None:
        try:
            await upload.abort()
        except TransferError as error:
            self._outcome.left_upload(upload.key, str(error))
        self._uploads.discard(upload)

    async def abort_all(self) -> None:
        """Free what uploads that were not completed have at the store; for a job that ends early.

        Bounded in time, as the endpoint may be the reason for the end.
        """
        open_uploads = list(self._uploads)
        if not open_uploads:
            return
        aborts = [asyncio.create_task(self._abort(upload)) for upload in open_uploads]
        _, late = await asyncio.wait(aborts, timeout=ABORT_TIMEOUT_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*aborts, return_exceptions=True)
        for upload in self._uploads:
            self._outcome.left_upload(upload.key, f"no answer within {ABORT_TIMEOUT_S:.0f} s")

    def _place(self, path: bytes, size_bytes: int) -> _Place:
        if self._later.has(path):
            return _Place(self._links.stand_in(path), _SUPERSEDED)
        if is_wanted(path, size_bytes, self._options.filter):
            return _Place(path)
        return _Place(self._links.stand_in(path), _LEFT_OUT)

    def _sending(self, path: bytes, record: File, key: str, place: _Place) -> _Sending:
        stand_in = "" if place.path is None or place.path == path else path_text(place.path)
        return _Sending(path, record, key, self._links.run, stand_in)

    def _leave_out(self, path: bytes, record: File, place: _Place) -> None:
        self._outcome.superseded += place.why is _SUPERSEDED
        self._links.meet_file(path, record, LinkState(problem=place.why))

    def _set_out(self, sending: _Sending) -> None:
        self._links.meet_file(sending.path, sending.record, LinkState(stand_in=sending.stand_in))

    def _settle(self, sending: _Sending, problem: str = "", etag: str = "") -> None:
        record, stand_in = sending.record, sending.stand_in
        state = LinkState(problem=problem, etag=etag, blake3=record.blake3, stand_in=stand_in)
        self._links.settle(sending.run, sending.path, record, state)

    def _done(self, sending: _Sending, result: PutResult) -> None:
        record = sending.record
        self._outcome.verified_by = result.verified_by.value
        self._outcome.succeeded(sending.key, record.size_bytes, record.blake3)
        self._settle(sending, etag=result.etag)

    def _fell(self, sending: _Sending, reason: str, *, integrity: bool = False) -> None:
        record = sending.record
        self._outcome.fell(sending.key, record.size_bytes, record.blake3, reason, integrity=integrity)
        self._settle(sending, problem=reason)
