"""The worker processes of export, seen from the agent: a bounded pool that fetches and packs batches.

Each process has several batches at once and answers in any order; a thread for each waits for its
answers. Frames come back in memory that all share (`workers.slots`). A worker that dies is an error of the
job, never a lost batch: what was not answered was not written.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from itertools import count

import msgspec
from msgspec.structs import replace

from transfer.errors import TransferError
from transfer.formats.frames import FRAME_SLACK_BYTES
from transfer.jobs.export.trouble import raised
from transfer.jobs.export.work import Answer, FetchOptions, Greeting, ObjectBatch, Task
from transfer.jobs.filling.outcome import Outcome
from transfer.jobs.workers.process import WorkerProcess
from transfer.jobs.workers.slots import Slots

MODULE = "transfer.jobs.export.worker"
_END_TIMEOUT_S = 5
BATCHES_AT_ONCE = 2
"""Of one worker: while one is packed, the other keeps its connections busy."""

# Made before there are threads: msgspec (0.22) looks into a struct type when it first meets it, and crashes
# the process when two threads do so at once.
_answers = msgspec.msgpack.Decoder(Answer)


class FetchPool:
    """Worker processes, started when there is work for them.

    Args:
        options: of fetching and packing.
        size: how many there are at most.
        outcomes: how many of them share memory at once; the frames of more than that come through pipes.
        ready: one that was started before, and was not told anything yet; the pool stops it.
    """

    def __init__(
        self, options: FetchOptions, size: int, outcomes: int, ready: WorkerProcess | None = None
    ) -> None:
        self._slots = ready.slots if ready is not None else Slots()
        self._slots.lay_out(outcomes, options.chunk_size_bytes + FRAME_SLACK_BYTES)
        greeting = Greeting(options, self._slots.descriptor, self._slots.slot_bytes)
        self._greeting = msgspec.msgpack.encode(greeting)
        self._size = size
        self._ready = ready
        self._workers: list[_Worker] = []
        self._numbers = count()
        self._room = asyncio.Semaphore(size * BATCHES_AT_ONCE)

    async def pack(self, batch: ObjectBatch) -> Outcome:
        """What came of a batch; concurrent calls share the processes.

        Its frames are good until it is given back.

        Raises:
            TransferError: the store cannot be used any more, or the worker died.
        """
        async with self._room:
            worker = self._least_busy()
            slot = self._slots.take()
            task = Task(next(self._numbers), batch, slot)
            answer = await worker.ask(task)
        if answer.outcome is None:
            self._slots.give_back(slot)
            raise raised(answer.error) if answer.error else AssertionError("an answer without anything")
        return self._outcome(answer.outcome, answer.in_slot, slot)

    def _outcome(self, outcome: Outcome, sizes: list[int], slot: int) -> Outcome:
        """With its frames, wherever they are, and the slot that is to be given back."""
        if sizes:
            frames = self._slots.contents(slot, sizes)
            outcome.pieces = [
                replace(piece, stored=stored) for piece, stored in zip(outcome.pieces, frames, strict=True)
            ]
        outcome.slot = slot
        return outcome

    def give_back(self, outcome: Outcome) -> None:
        """Nobody reads the frames of this outcome any more."""
        self._slots.give_back(outcome.slot)

    def _least_busy(self) -> _Worker:
        idle = next((worker for worker in self._workers if not worker.under_way), None)
        if idle is None and len(self._workers) < self._size:
            idle = _Worker(self._begin(), self._greeting)
            self._workers.append(idle)
        return idle or min(self._workers, key=lambda worker: worker.under_way)

    def _begin(self) -> WorkerProcess:
        ready, self._ready = self._ready, None
        if ready is not None:
            return ready
        try:
            return WorkerProcess(self._slots, MODULE)
        except OSError as error:
            raise TransferError(
                f"no worker process can be started: {error.strerror}", remedy="use fewer --workers"
            ) from error

    def close(self) -> None:
        """Stop all processes."""
        for worker in self._workers:
            worker.stop()
        if self._ready is not None:
            self._ready.stop()
        self._slots.close()


class _Worker:
    """One process, and what it was asked."""

    def __init__(self, process: WorkerProcess, greeting: bytes) -> None:
        self._process = process
        self._asked: dict[int, Future[Answer]] = {}
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._ended = False
        with contextlib.suppress(BrokenPipeError):  # who asks it next finds that out
            process.tell(greeting)
        self._thread = threading.Thread(target=self._listen, name="answers", daemon=True)
        self._thread.start()

    @property
    def under_way(self) -> int:
        """How many batches it has."""
        return len(self._asked)

    async def ask(self, task: Task) -> Answer:
        """What it answers.

        Raises:
            TransferError: it died.
        """
        future: Future[Answer] = Future()
        with self._lock:
            if self._ended:
                raise self._died()
            self._asked[task.number] = future
        await asyncio.to_thread(self._tell, msgspec.msgpack.encode(task))
        return await asyncio.wrap_future(future)

    def _tell(self, message: bytes) -> None:
        with (
            self._sending,
            contextlib.suppress(BrokenPipeError, ValueError),
        ):  # whoever listens finds that out
            self._process.tell(message)

    def _listen(self) -> None:
        """Take answers until the process ends."""
        with contextlib.suppress(OSError, ValueError):  # its pipe was closed
            while (message := self._process.listen()) is not None:
                answer = _answers.decode(message)
                with self._lock:
                    future = self._asked.pop(answer.number)
                if future.set_running_or_notify_cancel():
                    future.set_result(answer)
        with self._lock:
            self._ended = True
            left, self._asked = self._asked, {}
        for future in left.values():
            if future.set_running_or_notify_cancel():
                future.set_exception(self._died())

    def _died(self) -> TransferError:
        return TransferError(
            f"a worker process ended unexpectedly (exit code {self._process.exit_code()})",
            remedy="give the same command again, it goes on; with little memory, use fewer --workers",
        )

    def stop(self) -> None:
        """End it, and wait."""
        with self._sending, contextlib.suppress(BrokenPipeError):
            self._process.hang_up()
        self._thread.join(timeout=_END_TIMEOUT_S)
        self._process.stop()
