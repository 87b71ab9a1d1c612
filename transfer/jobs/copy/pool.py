"""The worker processes of copy, seen from the agent: a bounded pool that packs batches.

Each process is served by one thread, which blocks on its pipes. A worker that dies is an error of the job,
never a lost batch: what was not answered was not written.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec

from transfer.errors import TransferError
from transfer.jobs.copy.packing import PackingOptions
from transfer.jobs.copy.process import WorkerProcess
from transfer.jobs.copy.work import Batch, Outcome

# Made before there are threads: msgspec (0.22) looks into a struct type when it first meets it, and crashes
# the process when two threads do so at once.
_outcomes = msgspec.msgpack.Decoder(Outcome)


class WorkerPool:
    """Worker processes, started when there is work for them.

    Args:
        options: of the packing.
        size: how many there are at most.
        ready: one that was started before, and was not told anything yet; the pool stops it.
    """

    def __init__(self, options: PackingOptions, size: int, ready: WorkerProcess | None = None) -> None:
        self._greeting = msgspec.msgpack.encode(options)
        self._threads = ThreadPoolExecutor(max_workers=size, thread_name_prefix="pack")
        self._mine = threading.local()
        self._ready = [ready] if ready is not None else []
        self._all = list(self._ready)

    async def pack(self, batch: Batch) -> Outcome:
        """What came of a batch; concurrent calls share the processes.

        Raises:
            TransferError: the worker died.
        """
        message = msgspec.msgpack.encode(batch)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._pack, message)

    def _pack(self, batch: bytes) -> Outcome:
        worker = self._worker()
        try:
            answer = worker.ask(batch)
        except BrokenPipeError:
            answer = None
        if answer is None:
            raise TransferError(
                f"a worker process ended unexpectedly (exit code {worker.exit_code()})",
                remedy="give the same command again, it goes on; with little memory, use fewer --workers",
            )
        return _outcomes.decode(answer)

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
            worker = WorkerProcess()
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
