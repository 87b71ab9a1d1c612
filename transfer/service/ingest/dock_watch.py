"""Watches a dock: which devices come, which are whole, which go.

Rules:

- A folder is looked at when nothing in it has changed for `settle_s`: the kernel has told of no change, and
  two looks at its names, sizes and times agree.
- What was looked at is looked at again when something in it changes; what was refused because the disk
  failed, also without.
- The kernel may tell nothing: new folders are looked for every few seconds, changes in all of them every
  minute. A dock that goes away takes all its devices with it, and brings them back.
- Durations are those of the monotonic clock alone.
- It never writes into the folder of a device. In the dock it writes its lock, nothing else.

What becomes of a device that is whole, a `Keeper` decides.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from logging import Logger
from typing import Protocol

from transfer.errors import DeviceError, TransferError
from transfer.formats.tracking import TRACKING_FOLDER
from transfer.jobs.import_.options import ImportOptions
from transfer.service.ingest.arrivals import Refused, Whole, look
from transfer.service.ingest.berth import Berth, expected_view
from transfer.service.ingest.folders import MAX_FOLDERS, DockListing, fingerprint, list_dock
from transfer.service.ingest.notices import Notices
from transfer.service.ingest.papers import Paper, Papers
from transfer.service.ingest.presence import Presence
from transfer.service.views import DeviceView

RESCAN_S = 60.0
_PRESENCE_S = 5.0  # how often it is asked whether the dock is there, and which folders are in it
_BETWEEN_PASSES_S = 0.1
_LOOKS_AT_ONCE = 2
_MAX_GONE = 1_000


class Keeper(Protocol):
    """Who decides what becomes of devices."""

    async def arrived(self, berth: Berth, whole: Whole) -> None:
        """A device is whole: accept or refuse it. `berth` is as it was after the look before."""

    def left(self, berth: Berth) -> None:
        """A folder that was accepted is gone, or is to be trusted no more."""


class DockWatch:
    """A dock under watch.

    Args:
        root: its folder; need not be there yet.
        settle_s: how long nothing may have changed in a folder.
        on_change: told the name of a folder of which there is something new to show.
        log: told what happens.
        options: of the imports that devices are looked at for.
        rescan_s: how often all is looked at.

    Attributes:
        keeper: decides; to be given before `run`.
        problem: why the dock cannot be watched; empty where it can.
        is_overfull: there are more folders than are looked at.
    """

    def __init__(
        self,
        *,
        root: str,
        options: ImportOptions,
        settle_s: float,
        on_change: Callable[[str], None],
        log: Logger,
        rescan_s: float = RESCAN_S,
    ) -> None:
        self.root = os.path.realpath(root)
        self.keeper: Keeper
        self.problem = "the dock was not looked at yet"
        self.is_overfull = False
        self._options = options
        self._settle_s = settle_s
        self._on_change = on_change
        self._log = log
        self._rescan_s = rescan_s
        self._berths: dict[str, Berth] = {}
        self._gone: dict[str, DeviceView] = {}
        self._papers = Papers(self.root)
        self._records: dict[str, Paper] = {}
        self._by_folder: dict[str, Paper] = {}
        self._looks = asyncio.Semaphore(_LOOKS_AT_ONCE)
        self._wake = asyncio.Event()
        self._is_rescan_due = True
        self._rescanned_s = 0.0
        self._presence = Presence(self.root)
        self._notices = Notices(self.root, self.touch, self.rescan, log)

    def views(self) -> list[DeviceView]:
        """All devices, in the order of their folders."""
        expected = [expected_view(paper) for paper in self._expected()]
        coming = {view.folder for view in expected}
        gone = [view for view in self._gone.values() if view.folder not in coming]
        here = [self._view(berth) for berth in self._berths.values()]
        return sorted([*here, *expected, *gone], key=lambda view: view.folder)

    def view(self, name: str) -> DeviceView | None:
        """The device of a folder; None where there is nothing to tell of it."""
        if (berth := self._berths.get(name)) is not None:
            return self._view(berth)
        expected = next((paper for paper in self._expected() if paper.folder == name), None)
        return expected_view(expected) if expected is not None else self._gone.get(name)

    def touch(self, name: str) -> None:
        """Something may have changed in a folder."""
        if name == TRACKING_FOLDER:
            self._is_rescan_due = True
        elif (berth := self._berths.get(name)) is not None:
            berth.changed(_now_s())
        elif name.startswith("."):
            return
        self._wake.set()

    def rescan(self) -> None:
        """Look at all of the dock, now."""
        self._is_rescan_due = True
        self._wake.set()

    def _view(self, berth: Berth) -> DeviceView:
        if berth.document is not None:
            return berth.view(self._records.get(berth.document.device_id))
        return berth.view(self._by_folder.get(berth.name))

    def _expected(self) -> list[Paper]:
        under_way = [paper for paper in self._records.values() if paper.state != "docked"]
        here = {berth.device_id for berth in self._berths.values()} if under_way else set()
        return [
            paper for paper in under_way if paper.folder not in self._berths and paper.device_id not in here
        ]

    async def lock(self) -> None:
        """Take the dock, where it is there, before anything else is done.

        Raises:
            LockedError: another service has it.
        """
        with suppress(DeviceError):
            await asyncio.to_thread(self._presence.check)

    def unlock(self) -> None:
        """Let go of the dock, for good."""
        self._presence.end()

    async def run(self) -> None:
        """Watch until cancelled.

        Raises:
            BaseExceptionGroup: of what the keeper raised.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._notices.run())
                while True:
                    due_s = await self._pass(tasks)
                    await asyncio.sleep(min(_BETWEEN_PASSES_S, due_s))
                    await self._wait(due_s)
        finally:
            self.unlock()

    async def _wait(self, due_s: float) -> None:
        """Until something is due, or something has changed."""
        # Not asyncio.wait_for: before Python 3.12 it loses a cancellation that comes with the event.
        with suppress(TimeoutError):
            async with asyncio.timeout(due_s):
                await self._wake.wait()
        self._wake.clear()

    async def _pass(self, tasks: asyncio.TaskGroup) -> float:
        """Go through the dock once; the seconds until something is due."""
        try:
            if await asyncio.to_thread(self._presence.check):
                self._notices.restart()
            listing = await asyncio.to_thread(list_dock, self.root)
        except (TransferError, OSError) as error:
            self._lose(error)
            return min(_PRESENCE_S, self._rescan_s)
        if self.problem:
            self._log.info("dock %s is watched", self.root)
        self.problem = ""
        await self._compare(listing)
        if self._is_rescan_due or _now_s() - self._rescanned_s >= self._rescan_s:
            self._is_rescan_due, self._rescanned_s = False, _now_s()
            await self._rescan()
        waiting = [one for one in self._berths.values() if one.is_due and not one.is_being_looked_at]
        for berth in waiting:
            await self._consider(berth, tasks)
        dues_s = [berth.changed_s + self._settle_s for berth in waiting if berth.is_due]
        return max(0.0, min([self._rescanned_s + self._rescan_s, _now_s() + _PRESENCE_S, *dues_s]) - _now_s())

    def _lose(self, error: Exception) -> None:
        """The dock is away, and all its devices with it."""
        what = error.what if isinstance(error, TransferError) else f"dock {self.root}: {error}"
        if what != self.problem:
            self._log.error("%s", what)
        self.problem, self._is_rescan_due = what, True
        for name in list(self._berths):
            self._leave(name)

    async def _compare(self, listing: DockListing) -> None:
        """Which folders are new, which are gone."""
        if listing.is_cut and not self.is_overfull:
            self._log.error("the dock holds more than %d folders; the others are not looked at", MAX_FOLDERS)
        self.is_overfull = listing.is_cut
        there = {*listing.folders, *listing.links}
        for name in [name for name in self._berths if name not in there]:
            if not (listing.is_cut and await asyncio.to_thread(os.path.lexists, self._path(name))):
                self._leave(name)
        for name in sorted(there - self._berths.keys())[: MAX_FOLDERS - len(self._berths)]:
            self._berths[name] = Berth(name, _now_s())
            self._gone.pop(name, None)
            self._on_change(name)
        for name in listing.links:
            berth = self._berths.get(name)
            if berth is not None and berth.is_due:
                berth.is_due = False
                self._refuse(berth, Refused("it is a symbolic link; a device is a folder of the dock"))

    def _leave(self, name: str) -> None:
        berth = self._berths.pop(name)
        self._log.info("folder is gone", extra=berth.facts)
        if berth.state == "accepted":
            self._let_go(berth)
            berth.state = "gone"
            self._gone[name] = self._view(berth)
            if len(self._gone) > _MAX_GONE:
                del self._gone[next(iter(self._gone))]
        self._on_change(name)

    def _let_go(self, berth: Berth) -> None:
        """An accepted device is here no more."""
        self.keeper.left(berth)
        self._look_at_twins(berth)

    def _look_at_twins(self, berth: Berth) -> None:
        """The device of a folder is another one, or none: a second folder may hold what it held."""
        for other in self._berths.values():
            if other.twin == berth.name:
                other.changed(_now_s())

    async def _rescan(self) -> None:
        """Find what changed without the kernel having told."""
        self._records = await asyncio.to_thread(self._papers.read)
        self._by_folder = {paper.folder: paper for paper in self._records.values()}
        for complaint in self._papers.complaints:
            self._log.warning("tracking record: %s", complaint)
        for paper in self._expected():
            self._on_change(paper.folder)
        for berth in [one for one in self._berths.values() if not (one.is_due or one.is_being_looked_at)]:
            before = berth.print_
            print_ = await asyncio.to_thread(self._print, berth.name, deep=berth.state != "accepted")
            if berth.may_pass or (before == berth.print_ and print_ != before):
                berth.changed(_now_s())

    def _print(self, name: str, *, deep: bool) -> str:
        return fingerprint(self._path(name), deep=deep)

    def _path(self, name: str) -> str:
        return os.path.join(self.root, name)

    async def _consider(self, berth: Berth, tasks: asyncio.TaskGroup) -> None:
        """Look at a folder if it has settled."""
        before, changed_s = berth.print_, berth.changed_s
        has_rested = _now_s() - changed_s >= self._settle_s
        if before and not has_rested:
            return
        print_ = await asyncio.to_thread(self._print, berth.name, deep=True)
        if berth.changed_s != changed_s:
            return  # the kernel told of a change meanwhile
        berth.print_ = print_
        if print_ == before:
            berth.is_due, berth.is_being_looked_at = False, True
            tasks.create_task(self._look(berth))
        elif before:
            berth.changed_s = _now_s()

    async def _look(self, berth: Berth) -> None:
        try:
            async with self._looks:
                before, path = berth.print_, self._path(berth.name)
                try:
                    found = await asyncio.to_thread(look, path, self._options)
                except Exception as error:
                    self._log.exception("folder cannot be looked at", extra=berth.facts)
                    found = Refused(f"it cannot be looked at: {type(error).__name__}; the log says more")
                print_ = await asyncio.to_thread(self._print, berth.name, deep=True)
                if not berth.is_due and print_ != before:
                    berth.changed(_now_s())
                if not berth.is_due and self._berths.get(berth.name) is berth:
                    await self._conclude(berth, found)
        finally:
            berth.is_being_looked_at = False
            self._wake.set()

    async def _conclude(self, berth: Berth, found: Whole | Refused) -> None:
        if isinstance(found, Refused):
            self._refuse(berth, found)
            return
        had = berth.job_id
        await self.keeper.arrived(berth, found)
        if had is not None and berth.job_id != had:
            self._look_at_twins(berth)
        if self._berths.get(berth.name) is not berth:  # it went meanwhile
            self.keeper.left(berth)
            return
        if berth.state == "accepted":
            berth.print_ = await asyncio.to_thread(self._print, berth.name, deep=False)
        if berth.job_id is None or berth.job_id != had:
            self._log.info("device %s%s", berth.state, _because(berth), extra=berth.facts)
        self._on_change(berth.name)

    def _refuse(self, berth: Berth, refused: Refused) -> None:
        if berth.state == "accepted":
            self._let_go(berth)
        is_news = (berth.state, berth.reason) != ("refused", refused.reason)
        berth.refuse(refused.reason, refused.document, may_pass=refused.may_pass)
        if is_news:
            self._log.warning("device refused%s", _because(berth), extra=berth.facts)
        self._on_change(berth.name)


def _because(berth: Berth) -> str:
    return f": {berth.reason}" if berth.reason else ""


def _now_s() -> float:
    return asyncio.get_running_loop().time()
