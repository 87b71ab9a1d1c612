"""The worker processes of copy, seen from the agent: a bounded pool that packs batches.

Each process is served by one thread, which blocks on its pipes. A worker that dies is an error of the job, never a lost batch: what was
not answered was not written.
"""

from __future__ import annotations

import asyncio
import fcntl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec

from transfer.errors import TransferError
from transfer.jobs.copy.packing import PackingOptions
from transfer.jobs.copy.work import Batch, Outcome
from transfer.jobs.copy.worker import receive, send

_PIPE_BYTES = 1 << 20
_SET_PIPE_SIZE = getattr(fcntl, "F_SETPIPE_SZ", None)


class _Worker:
    """One process."""

    def __init__(self, options: PackingOptions) -> None:
        command = [sys.executable, "-c", "from transfer.jobs.copy.worker import main; main()"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("pipes were asked for")
        self._to, self._back = self._process.stdin, self._process.stdout
        _widen(self._back.fileno())
        send(self._to, msgspec.msgpack.encode(options))

    def pack(self, batch: bytes) -> Outcome:
        try:
            send(self._to, batch)
            answer = receive(self._back)
        except BrokenPipeError:
            answer = None
        if answer is None:
            code = self._process.wait()
            raise TransferError(
                f"a worker process ended unexpectedly (exit code {code})",
                remedy="give the same command again, it goes on; if it was killed for memory, use fewer --workers",
            )
        return msgspec.msgpack.decode(answer, type=Outcome)

    def stop(self) -> None:
        """Close its pipes, which ends it, and wait."""
        self._to.close()
        self._back.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class WorkerPool:
    """`size` worker processes, started when there is work for them."""

    def __init__(self, options: PackingOptions, size: int) -> None:
        self._options = options
        self._threads = ThreadPoolExecutor(max_workers=size, thread_name_prefix="pack")
        self._mine = threading.local()
        self._all: list[_Worker] = []

    async def pack(self, batch: Batch) -> Outcome:
        """What came of a batch; concurrent calls share the processes.

        Raises:
            TransferError: the worker died.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._call, msgspec.msgpack.encode(batch))

    def _call(self, batch: bytes) -> Outcome:
        worker: _Worker | None = getattr(self._mine, "worker", None)
        if worker is None:
            worker = self._mine.worker = _Worker(self._options)
            self._all.append(worker)
        return worker.pack(batch)

    def close(self) -> None:
        """Stop all processes."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for worker in self._all:
            worker.stop()


def _widen(descriptor: int) -> None:
    """A wide pipe saves switches between the processes; not every system has the call."""
    if _SET_PIPE_SIZE is not None:
        try:
            fcntl.fcntl(descriptor, _SET_PIPE_SIZE, _PIPE_BYTES)
        except OSError:  # beyond this user's pipe quota: the default is fine
            return
