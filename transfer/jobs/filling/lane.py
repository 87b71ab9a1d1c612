"""One device of several that are filled at once: an inbox of work, and an engine that carries it out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

from transfer.errors import DeviceError, DeviceFullError
from transfer.jobs.filling.passes import Opened, Passes
from transfer.jobs.filling.source import Pass
from transfer.jobs.filling.start import Start
from transfer.jobs.filling.work import Work

_INBOX = 2


class Lane:
    """A device, its engine, and what was dealt to it.

    Args:
        passes: of its leg.
        start: where its run begins or goes on.
        passed: the pass that all lanes share.
        moved: set whenever the lane takes work or ends.

    Attributes:
        last: the last path that it has, or that was dealt to it.
        dealt_bytes: how much was dealt to it, about.
    """

    def __init__(self, passes: Passes, start: Start, passed: Pass, moved: asyncio.Event) -> None:
        self.passes = passes
        self.start = start
        self.last = start.after if start.resumes else b""
        self.dealt_bytes = 0
        self.opened: Opened = passes.open(passed, start)
        self.opened.writer.ends_when_full = False
        self._promised = 0
        self._moved = moved
        self._inbox: asyncio.Queue[Work | None] = asyncio.Queue(maxsize=_INBOX)
        self.task = asyncio.create_task(self._run())

    @property
    def backlog(self) -> tuple[int, int]:
        """By this lanes are compared: who has the least to do."""
        return self._inbox.qsize(), self.dealt_bytes

    @property
    def has_space(self) -> bool:
        """Whether it takes another piece of work now."""
        return not self._inbox.full()

    @property
    def is_drained(self) -> bool:
        """Whether nothing is known to be on its way."""
        return not self._promised

    def may_take(self, path: bytes) -> bool:
        """Whether it still works, and a path is behind what it has."""
        return not self.task.done() and path > self.last

    def has_room(self, need_bytes: int) -> bool:
        """Whether so much surely fits behind what was dealt."""
        return self.opened.writer.room_bytes() - self._promised >= need_bytes

    def deal(self, work: Work, path: bytes, need_bytes: int) -> None:
        """Give it work, which it must have space for."""
        self._promised += need_bytes
        self.dealt_bytes += need_bytes
        self.last = path
        self._inbox.put_nowait(work)

    async def drain(self) -> None:
        """Wait until all that was dealt is appended, or it has ended."""
        await self._unless_ended(self._idle())
        self._promised = 0

    async def end(self) -> None:
        """No more work comes; wait for what was dealt.

        Raises:
            DeviceError, TransferError: as `Engine.run`.
        """
        await self._unless_ended(self._inbox.put(None))
        await self.task

    async def finish(self, *, continues: bool) -> None:
        """Commit, and end its run; on a disk without room for that the run may stay open.

        Raises:
            DeviceError: as `Engine.finish`.
        """
        self.opened.writer.ends_when_full = True
        with contextlib.suppress(DeviceFullError):
            await self.opened.engine.finish(continues=continues)

    async def stop(self) -> None:
        """Commit what is there, after whatever happened; its run goes on another time."""
        self.task.cancel()
        (ended,) = await asyncio.gather(self.task, return_exceptions=True)
        if isinstance(ended, DeviceFullError):
            return
        if isinstance(ended, DeviceError):
            await asyncio.to_thread(self.opened.writer.abandon)
            return
        try:
            await self.opened.engine.pause()
        except DeviceError:
            await asyncio.to_thread(self.opened.writer.abandon)

    async def close(self) -> None:
        """Stop threads and processes, and count what was committed."""
        await self.opened.close()
        self.passes.add_up(self.opened.writer.sequence - self.start.point.sequence)

    async def _run(self) -> None:
        try:
            await self.opened.engine.run(self._work(), self.start.pieces(self.opened.side))
        finally:
            self._moved.set()

    async def _work(self) -> AsyncGenerator[Work, None]:
        while (work := await self._inbox.get()) is not None:
            self._moved.set()
            yield work
            self._inbox.task_done()
        self._inbox.task_done()

    async def _idle(self) -> None:
        await self._inbox.join()
        await self.opened.engine.drained()

    async def _unless_ended(self, waiting: Coroutine[Any, Any, None]) -> None:
        """Wait for something that never comes once the lane has ended."""
        task = asyncio.create_task(waiting)
        await asyncio.wait({task, self.task}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
