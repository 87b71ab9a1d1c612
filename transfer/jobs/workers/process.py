"""One worker process, as the agent holds it.

Starting one costs more than anything else before the first file, nearly all of it for loading modules, and
the same goes for the agent itself. So a command may start the first one before it loads its own: this module
loads next to nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
import sys
from collections.abc import Iterator

from transfer.jobs.workers.messages import receive, send
from transfer.jobs.workers.slots import Slots

_PIPE_BYTES = 1 << 20
_SET_PIPE_SIZE = getattr(fcntl, "F_SETPIPE_SZ", None)
_END_TIMEOUT_S = 5


class WorkerProcess:
    """A process that runs a module's `main`.

    Args:
        slots: the memory that it shares with the agent.
        module: of the worker.
        inherits: descriptors that it has as well, by the same numbers.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, slots: Slots, module: str, inherits: tuple[int, ...] = ()) -> None:
        self.slots = slots
        # A group of its own: a key pressed on the terminal interrupts the agent, which then decides.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _program(module)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            process_group=0,
            pass_fds=[*inherits, slots.descriptor] if slots.descriptor >= 0 else inherits,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("pipes were asked for")
        self._to, self._back = self._process.stdin, self._process.stdout
        self._is_idle = True
        _widen(self._back.fileno())

    def tell(self, message: bytes) -> None:
        """Send what it does not answer.

        Raises:
            BrokenPipeError: it has ended.
        """
        self._is_idle = False
        send(self._to, message)

    def ask(self, message: bytes) -> bytearray | None:
        """Send, and wait for the answer; None when it ended instead.

        Raises:
            BrokenPipeError: it had ended before.
        """
        send(self._to, message)
        return receive(self._back)

    def listen(self) -> bytearray | None:
        """Wait for the next answer, where several were asked for; None when it ended."""
        return receive(self._back)

    def hang_up(self) -> None:
        """Tell it nothing any more: it ends when it is done."""
        self._to.close()

    def exit_code(self) -> int:
        """Of a process that has ended."""
        return self._process.wait()

    def stop(self) -> None:
        """Close its pipes, which ends it, and wait; may be called again.

        One that was never told anything is not waited for until it has loaded its modules.
        """
        if self._is_idle:
            self._process.kill()
        self._to.close()
        self._back.close()
        try:
            self._process.wait(timeout=_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def first_worker(module: str) -> Iterator[WorkerProcess | None]:
    """A worker that gets ready meanwhile; None where none can be started, which whoever needs one tells."""
    with contextlib.closing(Slots()) as slots:
        try:
            worker = WorkerProcess(slots, module)
        except OSError:
            yield None
            return
        try:
            yield worker
        finally:
            worker.stop()


def _program(module: str) -> str:
    """What a worker runs: from where this process takes its modules, never from the working directory."""
    return f"import sys; sys.path[:] = {sys.path!r}; from {module} import main; main()"


def _widen(descriptor: int) -> None:
    """A wide pipe saves switches between the processes; not every system has the call."""
    if _SET_PIPE_SIZE is not None:
        try:
            fcntl.fcntl(descriptor, _SET_PIPE_SIZE, _PIPE_BYTES)
        except OSError:  # beyond this user's pipe quota: the default is fine
            return
