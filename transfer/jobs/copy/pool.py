"""The worker processes of copy, seen from the agent: a bounded pool that packs batches.

Each process is served by one thread, which blocks on its pipes. A worker that dies is an error of the job,
never a
lost batch: what was not answered was not written.
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

# Made before there are threads: msgspec (0.22) looks into a struct type when it first meets it, and crashes
# the process when two threads do so at once.
_outcomes = msgspec.msgpack.Decoder(Outcome)


class _Worker:
    """One process.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, options: PackingOptions) -> None:
        # A group of its own: a key pressed on the terminal interrupts the agent, which then decides.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _program()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            process_group=0,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("pipes were asked for")
        self._to, self._back = self._process.stdin, self._process.stdout
        _widen(self._back.fileno())
        self._greeting: bytes | None = msgspec.msgpack.encode(options)

    def pack(self, batch: bytes) -> Outcome:
        try:
            if self._greeting is not None:
                send(self._to, self._greeting)
                self._greeting = None
            send(self._to, batch)
            answer = receive(self._back)
        except BrokenPipeError:
            answer = None
        if answer is None:
            code = self._process.wait()
            raise TransferError(
                f"a worker process ended unexpectedly (exit code {code})",
                remedy="give the same command again, it goes on; with little memory, use fewer --workers",
            )
        return _outcomes.decode(answer)

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
        message = msgspec.msgpack.encode(batch)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._call, message)

    def _call(self, batch: bytes) -> Outcome:
        worker: _Worker | None = getattr(self._mine, "worker", None)
        if worker is None:
            try:
                worker = self._mine.worker = _Worker(self._options)
            except OSError as error:
                raise TransferError(
                    f"no worker process can be started: {error.strerror}", remedy="use fewer --workers"
                ) from error
            self._all.append(worker)
        return worker.pack(batch)

    def close(self) -> None:
        """Stop all processes."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for worker in self._all:
            worker.stop()


def _program() -> str:
    """What a worker runs: from where this process takes its modules, never from the working directory."""
    return f"import sys; sys.path[:] = {sys.path!r}; from transfer.jobs.copy.worker import main; main()"


def _widen(descriptor: int) -> None:
    """A wide pipe saves switches between the processes; not every system has the call."""
    if _SET_PIPE_SIZE is not None:
        try:
            fcntl.fcntl(descriptor, _SET_PIPE_SIZE, _PIPE_BYTES)
        except OSError:  # beyond this user's pipe quota: the default is fine
            return
