"""Threads that do steps in the order in which they are handed over, never many ahead.

The first error ends a lane: what was handed over before and waits is passed over, and whoever hands over
more, or waits for the end, gets that error. So an error goes up from lane to lane to the job, and nobody
waits for ever. Memory is bounded by what the waiting steps hold.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

Step = Callable[[], None]


class Lane:
    """Some threads with one queue.

    Args:
        name: of the threads.
        depth: how many steps wait at most.
        threads: how many; one keeps the order.
    """

    def __init__(self, name: str, depth: int, threads: int = 1) -> None:
        self._steps: queue.Queue[Step | None] = queue.Queue(depth)
        self._error: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def hand(self, step: Step) -> None:
        """Have a step done when its turn comes; waits while too many do.

        Raises:
            BaseException: what a step before has raised.
        """
        self._refuse()
        self._steps.put(step)

    def end(self) -> None:
        """Wait until all is done.

        Raises:
            BaseException: as `hand`.
        """
        self.stop()
        self._refuse()

    def stop(self, error: BaseException | None = None) -> None:
        """End the threads; with an error given, without what waits. May be called again."""
        if error is not None:
            self._fail(error)
        threads, self._threads = self._threads, []
        for _ in threads:
            self._steps.put(None)
        for thread in threads:
            thread.join()

    def _fail(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error

    def _refuse(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (step := self._steps.get()) is not None:
            if self._error is not None:
                continue
            try:
                step()
            except BaseException as error:
                self._fail(error)
