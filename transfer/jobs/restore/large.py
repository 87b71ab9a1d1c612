"""Large files: chunk by chunk, opened by some threads ahead, then hashed and written at once, in order.

A file grows under another name; its digest as a whole is taken on the way, and it gets its name when that is
right. One file at a time.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, cast

from blake3 import blake3

from transfer.core.records import Chunk, File
from transfer.errors import IntegrityError
from transfer.formats.frames import FrameReader, raw_pieces
from transfer.jobs.restore.bagging import Sums
from transfer.jobs.restore.goals import Goal
from transfer.jobs.restore.lanes import Lane
from transfer.jobs.restore.options import RestoreOptions
from transfer.jobs.restore.outcome import Outcome
from transfer.jobs.restore.partial import Partial
from transfer.jobs.restore.small import refuse_late
from transfer.jobs.restore.tree import PartialNames, Tree, check_name, split
from transfer.jobs.restore.trouble import entry

Fail = Callable[[Goal, File | None, str, bool], None]
"""Told of a large file that is not restored: its last record where that came by, why, and whether the device
is to blame."""


class Content(NamedTuple):
    """The content of a chunk; raw: pieces of the frame as it was stored."""

    pieces: list[memoryview]
    is_raw: bool

    def crc64nvme(self) -> str:
        """Its checksum as records have it."""
        from awscrt.checksums import crc64nvme  # noqa: PLC0415  (it takes long to load, and may not be needed)

        value = 0
        for piece in self.pieces:
            value = crc64nvme(cast(bytes, piece), value)  # it takes any buffer
        return f"{value:016x}"


@dataclass
class _Large:
    """A large file on its way."""

    goal: Goal
    partial: Partial
    hash: blake3 = field(default_factory=blake3)
    sha256: Any = None
    size_bytes: int = 0

    def update(self, content: Content) -> None:
        """Take the digests further."""
        for piece in content.pieces:
            self.hash.update(piece)
            if self.sha256 is not None:
                self.sha256.update(piece)

    def write(self, content: Content) -> None:
        """Write the next chunk; what does not compress has no holes."""
        if content.is_raw:
            self.partial.write_all(content.pieces, self.size_bytes)
        else:
            self.partial.write_around_holes(content.pieces[0], self.size_bytes)
        self.size_bytes += sum(map(len, content.pieces))


class _Lost(NamedTuple):
    """A large file that was given up, and why; told when its last record comes by, as it may be void."""

    goal: Goal
    reason: str
    is_damage: bool


class LargeWriter:
    """Writes large files; called by one thread, in the order of the device.

    Args:
        tree: of the directory, makes folders.
        names: of files that are not whole yet; nobody else's.
        directory: its name.
        options: of the restore.
        outcome: told what was written.
        fail: told what was not.
        depth: how many chunks may wait.
        sums: told the SHA-256 of each file, where somebody asks for it.
    """

    def __init__(
        self,
        tree: Tree,
        names: PartialNames,
        directory: str,
        options: RestoreOptions,
        outcome: Outcome,
        fail: Fail,
        depth: int,
        sums: Sums | None,
    ) -> None:
        self._sums = sums
        self._tree = tree
        self._names = names
        self._directory = directory
        self._options = options
        self._outcome = outcome
        self._fail = fail
        self._open = ThreadPoolExecutor(options.workers, thread_name_prefix="open")
        self._hash = ThreadPoolExecutor(1, thread_name_prefix="hash")
        self._lane = Lane("write-large", depth)
        self._large: _Large | None = None
        self._lost: _Lost | None = None
        self._mine = threading.local()

    def begin(self, goal: Goal) -> None:
        """A wanted file begins."""
        self._lane.hand(partial(self._begin, goal))

    def chunk(self, record: Chunk, frame_bytes: int, stored: bytes | str) -> None:
        """Its next chunk, as it is stored, or why it cannot be read; waits while enough others are under
        way.
        """
        opened = self._open.submit(self._opened, record, frame_bytes, stored)
        self._lane.hand(partial(self._chunk, record, opened))

    def close(self, record: File) -> None:
        """Its last record: it gets its name, or it is told why not."""
        self._lane.hand(partial(self._close, record))

    def void(self) -> None:
        """It was given up at the source."""
        self._lane.hand(self._drop)

    def lose(self, reason: str, *, is_damage: bool) -> None:
        """Whatever file is at hand does not go on."""
        self._lane.hand(partial(self._lose, reason, is_damage))

    def end(self) -> None:
        """Wait until all is done.

        Raises:
            BaseException: the first error of a step.
        """
        self._lane.end()

    def stop(self, error: BaseException | None = None) -> None:
        """Leave nothing unfinished; may be called again."""
        self._lane.stop(error)
        self._open.shutdown(wait=True, cancel_futures=True)
        self._hash.shutdown(wait=True)
        self._drop()
        self._tree.close()

    def _opened(self, record: Chunk, frame_bytes: int, stored: bytes | str) -> Content:
        """The content of a chunk, held against its checksum."""
        if isinstance(stored, str):
            raise IntegrityError(stored)
        content = Content(raw_pieces(stored, frame_bytes) or [], is_raw=True)
        if not content.pieces:
            content = Content([memoryview(self._reader().decompress(stored, frame_bytes))], is_raw=False)
        if content.crc64nvme() != record.crc64nvme:
            raise IntegrityError("CRC-64/NVME differs")
        return content

    def _reader(self) -> FrameReader:
        reader: FrameReader | None = getattr(self._mine, "reader", None)
        if reader is None:
            reader = self._mine.reader = FrameReader()
        return reader

    def _begin(self, goal: Goal) -> None:
        self._drop()
        with entry(self._directory, lambda why: self._note_lost(goal, why, is_damage=False)):
            folder, name = split(goal.path)
            check_name(name)
            large = _Large(goal, Partial(self._tree.folder(folder), self._names.new()))
            large.sha256 = hashlib.sha256() if self._sums is not None else None
            self._large = large

    def _chunk(self, record: Chunk, opened: Future[Content]) -> None:
        large = self._large
        if large is None:
            return
        try:
            content = opened.result()
        except IntegrityError as error:
            self._give_up(f"chunk {record.index}: {error.what}", is_damage=True)
            return
        hashed = self._hash.submit(large.update, content)
        try:
            with entry(self._directory, lambda why: self._give_up(why, is_damage=False)):
                large.write(content)
                self._outcome.tell(large.goal.path, large.size_bytes)
        finally:
            hashed.result()

    def _close(self, record: File) -> None:
        large = self._large
        if large is not None:
            if large.size_bytes != record.size_bytes or large.hash.hexdigest() != record.blake3:
                self._give_up("BLAKE3 of the whole file differs", is_damage=True)
            else:
                with entry(self._directory, lambda why: self._give_up(why, is_damage=False)):
                    self._finish(large, record)
        lost = self._lost
        self._large = self._lost = None
        if lost is not None:
            self._fail(lost.goal, record, lost.reason, lost.is_damage)

    def _finish(self, large: _Large, record: File) -> None:
        """Name a whole file, unless something came in its way meanwhile."""
        goal, partial_file = large.goal, large.partial
        name = split(goal.path)[1]
        refuse_late(name, record.mtime_ns, record.size_bytes, partial_file.folder, self._options.if_exists)
        problems = partial_file.finish(
            name, record, record.size_bytes, sparse=record.sparse, owner=self._options.sets_owner
        )
        if self._sums is not None:
            self._sums.put(goal.path, large.sha256.hexdigest())
        self._outcome.note(goal.path, problems)
        self._outcome.wrote(goal.path, record.size_bytes)

    def _lose(self, reason: str, is_damage: bool) -> None:
        self._give_up(reason, is_damage=is_damage)
        lost, self._lost = self._lost, None
        if lost is not None:
            self._fail(lost.goal, None, lost.reason, lost.is_damage)

    def _give_up(self, reason: str, *, is_damage: bool) -> None:
        """The large file at hand goes no further."""
        large, self._large = self._large, None
        if large is not None:
            large.partial.drop()
            self._note_lost(large.goal, reason, is_damage=is_damage)

    def _note_lost(self, goal: Goal, reason: str, *, is_damage: bool) -> None:
        self._lost = _Lost(goal, reason, is_damage)

    def _drop(self) -> None:
        """Tell nothing of the file at hand."""
        if self._large is not None:
            self._large.partial.drop()
        self._large = self._lost = None
