"""Who writes small files: worker processes, or for a handful a thread of this one.

Frames go to the processes in memory that is shared (`transfer.jobs.workers.slots`). A worker that dies ends
the job; what it was at work on was not named, or is whole.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol

import msgspec

from transfer.errors import TransferError
from transfer.jobs.restore.if_exists import IfExists
from transfer.jobs.restore.lanes import Lane
from transfer.jobs.restore.options import RestoreOptions
from transfer.jobs.restore.small import SmallBatch, SmallWriter, Written
from transfer.jobs.restore.tree import PartialNames, Tree
from transfer.jobs.restore.worker import Greeting, Task
from transfer.jobs.workers.process import WorkerProcess
from transfer.jobs.workers.slots import NO_SLOT, Slots

MODULE = "transfer.jobs.restore.worker"
Tell = Callable[[Written], None]

# Made before there are threads: msgspec (0.22) must not look into a struct type in two of them at once.
_written = msgspec.msgpack.Decoder(Written)


class Pool(Protocol):
    """Takes batches, and tells of each what became of it, from any thread."""

    def write(self, batch: SmallBatch, stored: bytes, tell: Tell) -> None:
        """Have a batch written; waits while enough others are under way.

        Raises:
            BaseException: an earlier one could not be written, or told.
        """

    def end(self) -> None:
        """Wait for all of them.

        Raises:
            BaseException: as `write`.
        """

    def stop(self, error: BaseException | None = None) -> None:
        """Give up what waits; may be called again."""


class ThreadPool:
    """One thread that writes.

    Args:
        directory: a descriptor.
        mark: of the job.
        options: of the restore.
        folder_mode: of folders that are made.
    """

    def __init__(self, directory: int, mark: str, options: RestoreOptions, folder_mode: int) -> None:
        replaces = options.if_exists is IfExists.OVERWRITE
        self._tree = Tree(directory, makes=True, replaces=replaces, mode=folder_mode)
        names = PartialNames(mark, 1)
        self._writer = SmallWriter(
            self._tree,
            names,
            options.if_exists,
            sets_owner=options.sets_owner,
            sums=options.bag is not None,
        )
        self._lane = Lane("write-small", 2)

    def write(self, batch: SmallBatch, stored: bytes, tell: Tell) -> None:
        """As `Pool` says."""
        self._lane.hand(lambda: tell(self._writer.write(batch, stored)))

    def end(self) -> None:
        """As `Pool` says."""
        self._lane.end()

    def stop(self, error: BaseException | None = None) -> None:
        """As `Pool` says."""
        self._lane.stop(error)
        self._tree.close()


class ProcessPool:
    """Worker processes, each started with the first batch that it gets.

    Args:
        directory: a descriptor, which they inherit.
        mark: of the job.
        options: of the restore.
        folder_mode: of folders that are made.
        frame_bytes: no stored frame is larger than that.
        lock: a descriptor that holds the lock of the directory, which they inherit as well.
    """

    def __init__(
        self,
        directory: int,
        mark: str,
        options: RestoreOptions,
        folder_mode: int,
        frame_bytes: int,
        lock: int,
    ) -> None:
        self._directory = directory
        self._lock_descriptor = lock
        self._folder_mode = folder_mode
        self._mark = mark
        self._options = options
        self._slots = Slots()
        count = min(options.workers, 200)
        self._slots.lay_out(2 * count + 1, frame_bytes)
        self._lane = Lane("write-small", count, count)
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._all: list[WorkerProcess] = []

    def write(self, batch: SmallBatch, stored: bytes, tell: Tell) -> None:
        """As `Pool` says."""
        slot = self._slots.put(stored)
        rest = stored if slot == NO_SLOT else b""
        self._lane.hand(partial(self._write, Task(batch, slot, len(stored), rest), tell))

    def end(self) -> None:
        """As `Pool` says."""
        self._lane.end()

    def stop(self, error: BaseException | None = None) -> None:
        """As `Pool` says."""
        self._lane.stop(error)
        for worker in self._all:
            worker.stop()
        self._slots.close()

    def _write(self, task: Task, tell: Tell) -> None:
        worker = self._worker()
        try:
            answer = worker.ask(msgspec.msgpack.encode(task))
        except BrokenPipeError:
            answer = None
        self._slots.give_back(task.slot)
        if answer is None:
            raise TransferError(
                f"a worker process ended unexpectedly (exit code {worker.exit_code()})",
                remedy="give the same command again, it goes on; with little memory, use fewer --workers",
            )
        tell(_written.decode(answer))

    def _worker(self) -> WorkerProcess:
        """That of this thread."""
        worker: WorkerProcess | None = getattr(self._mine, "worker", None)
        if worker is None:
            worker = self._mine.worker = self._begin()
        return worker

    def _begin(self) -> WorkerProcess:
        with self._lock:
            try:
                worker = WorkerProcess(self._slots, MODULE, (self._directory, self._lock_descriptor))
            except OSError as error:
                what = f"no worker process can be started: {error.strerror}"
                raise TransferError(what, remedy="use fewer --workers") from error
            self._all.append(worker)
            number = len(self._all)
        options, slots = self._options, self._slots
        greeting = Greeting(
            directory=self._directory,
            mark=self._mark,
            writer=number + 1,
            if_exists=options.if_exists.value,
            sets_owner=options.sets_owner,
            sums=options.bag is not None,
            folder_mode=self._folder_mode,
            slots=slots.descriptor,
            slot_bytes=slots.slot_bytes,
        )
        with contextlib.suppress(BrokenPipeError):  # who asks it next finds that out
            worker.tell(msgspec.msgpack.encode(greeting))
        return worker
