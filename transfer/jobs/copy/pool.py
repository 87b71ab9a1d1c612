"""The worker processes of copy, seen from the agent: a bounded pool that packs batches.

Each process is served by one thread, which blocks on its pipes. Frames come back in memory that all share
(`slots`). A worker that dies is an error of the job, never a lost batch: what was not answered was not
written.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec
from msgspec.structs import replace

from transfer.errors import TransferError
from transfer.formats.frames import FRAME_SLACK_BYTES
from transfer.jobs.copy.work import Answer, Batch, Greeting, PackingOptions, Task
from transfer.jobs.filling.outcome import Outcome
from transfer.jobs.workers.process import WorkerProcess
from transfer.jobs.workers.slots import Slots

MODULE = "transfer.jobs.copy.worker"

# Made before there are threads: msgspec (0.22) looks into a struct type when it first meets it, and crashes
# the process when two threads do so at once.
_answers = msgspec.msgpack.Decoder(Answer)


class WorkerPool:
    """Worker processes, started when there is work for them.

    Args:
        options: of the packing.
        size: how many there are at most.
        outcomes: how many of them share memory at once; the frames of more than that come through pipes.
        ready: one that was started before, and was not told anything yet; the pool stops it.
    """

    def __init__(
        self, options: PackingOptions, size: int, outcomes: int, ready: WorkerProcess | None = None
    ) -> None:
        self._slots = ready.slots if ready is not None else Slots()
        self._slots.lay_out(outcomes, options.chunk_size_bytes + FRAME_SLACK_BYTES)
        greeting = Greeting(options, self._slots.descriptor, self._slots.slot_bytes)
        self._greeting = msgspec.msgpack.encode(greeting)
        self._threads = ThreadPoolExecutor(max_workers=size, thread_name_prefix="pack")
        self._mine = threading.local()
        self._ready = [ready] if ready is not None else []
        self._all = list(self._ready)

    async def pack(self, batch: Batch) -> Outcome:
        """What came of a batch; concurrent calls share the processes.

        Its frames are good until it is given back.

        Raises:
            TransferError: the worker died.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._pack, batch)

    def give_back(self, outcome: Outcome) -> None:
        """Nobody reads the frames of this outcome any more."""
        self._slots.give_back(outcome.slot)

    def _pack(self, batch: Batch) -> Outcome:
        worker, slot = self._worker(), self._slots.take()
        try:
            answer = worker.ask(msgspec.msgpack.encode(Task(batch, slot)))
        except BrokenPipeError:
            answer = None
        if answer is None:
            raise TransferError(
                f"a worker process ended unexpectedly (exit code {worker.exit_code()})",
                remedy="give the same command again, it goes on; with little memory, use fewer --workers",
            )
        return self._outcome(_answers.decode(answer), slot)

    def _outcome(self, answer: Answer, slot: int) -> Outcome:
        """With its frames, wherever they are, and the slot that is to be given back."""
        outcome = answer.outcome
        if answer.in_slot:
            frames = self._slots.contents(slot, answer.in_slot)
            outcome.pieces = [
                replace(piece, stored=stored) for piece, stored in zip(outcome.pieces, frames, strict=True)
            ]
        outcome.slot = slot
        return outcome

    def _worker(self) -> WorkerProcess:
        """That of this thread."""
        worker: WorkerProcess | None = getattr(self._mine, "worker", None)
        if worker is None:
            worker = self._mine.worker = self._begin()
            with contextlib.suppress(BrokenPipeError):  # who asks it next finds that out
                worker.tell(self._greeting)
        return worker

    def _begin(self) -> WorkerProcess:
        try:
            return self._ready.pop()
        except IndexError:
            pass
        try:
            worker = WorkerProcess(self._slots, MODULE)
        except OSError as error:
            raise TransferError(
                f"no worker process can be started: {error.strerror}", remedy="use fewer --workers"
            ) from error
        self._all.append(worker)
        return worker

    def close(self) -> None:
        """Stop all processes."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for worker in self._all:
            worker.stop()
        self._slots.close()
