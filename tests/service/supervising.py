"""A supervisor over a real dock and ledger, with a bucket in memory; tests wait for what it tells."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.jobs.memory_import import LIMITS, OPTIONS, objects_in
from tests.jobs.shipment import files_of
from transfer.device.clock import timestamp
from transfer.jobs.import_.options import ImportOptions
from transfer.ledger.ledger import Ledger, open_ledger
from transfer.ledger.phases import Phase
from transfer.service.ingest.patience import Patience
from transfer.service.ingest.plan import Plan
from transfer.service.ingest.supervisor import Supervisor
from transfer.service.views import DeviceView, JobView
from transfer.stores.contract import Store
from transfer.stores.memory import MemoryStore

SETTLE_S = 0.3
TIMEOUT_S = 90.0
PLAN = Plan(replace(OPTIONS, prefix="p/"))


class _Events(logging.Handler):
    """Wakes who waits whenever something is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.event = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.event.set()


@dataclass
class Service:
    """A running supervisor."""

    supervisor: Supervisor
    ledger: Ledger
    task: asyncio.Task[None]
    events: _Events
    shown: list[JobView] = field(default_factory=list)

    @property
    def logged(self) -> list[str]:
        """All that was logged."""
        return [record.getMessage() for record in self.events.records]

    async def until(self, is_so: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something is so, asking whenever the supervisor tells or logs something."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._until(is_so)
        except TimeoutError:
            jobs = (await self.supervisor.jobs()).items
            state = [*await self.supervisor.devices(), *jobs, *self.supervisor.problems(), *self.logged]
            raise AssertionError("\n".join(map(str, state[-40:]))) from None

    async def _until(self, is_so: Callable[[], Awaitable[bool]]) -> None:
        async with self.supervisor.changes() as changes:
            told = asyncio.ensure_future(anext(changes))
            while not await is_so():
                logged = asyncio.ensure_future(self.events.event.wait())
                await asyncio.wait([told, logged, self.task], return_when=asyncio.FIRST_COMPLETED)
                logged.cancel()
                if self.task.done():
                    told.cancel()
                    self.task.result()
                    raise AssertionError("the supervisor has ended")
                self.events.event.clear()
                if told.done():
                    if (change := told.result()).job is not None:
                        self.shown.append(change.job)
                    told = asyncio.ensure_future(anext(changes))
            told.cancel()
            with suppress(asyncio.CancelledError):
                await told

    async def device(self, folder: str, is_so: Callable[[DeviceView], bool]) -> DeviceView:
        """Wait until a device is as wanted."""
        found: list[DeviceView] = []

        async def look() -> bool:
            found[:] = [one for one in await self.supervisor.devices() if one.folder == folder and is_so(one)]
            return bool(found)

        await self.until(look)
        return found[0]

    async def job(self, is_so: Callable[[JobView], bool]) -> JobView:
        """Wait until the newest job is as wanted."""
        found: list[JobView] = []

        async def look() -> bool:
            found[:] = [one for one in (await self.supervisor.jobs(limit=1)).items if is_so(one)]
            return bool(found)

        await self.until(look)
        return found[0]

    async def phase(self, phase: Phase) -> JobView:
        """Wait until the newest job has come to a phase, and nothing of it is under way."""
        return await self.job(lambda job: job.phase is phase and job.progress is None)

    async def problem(self, words: str) -> None:
        """Wait until there is a problem with such words; none, where they are empty."""

        async def look() -> bool:
            problems = self.supervisor.problems()
            return any(words in one for one in problems) if words else not problems

        await self.until(look)


@asynccontextmanager
async def serving(
    place: Path,
    dock: Path,
    store: Store | Callable[[], Awaitable[Store]],
    *,
    plan: Plan = PLAN,
    ledger: Ledger | None = None,
    allow_faults: bool = False,
    **options: Any,
) -> AsyncIterator[Service]:
    """A supervisor with its ledger at `place`, running until the block ends."""
    if ledger is None:
        async with (
            open_ledger(str(place / "ledger.sqlite"), timestamp) as opened,
            serving(
                place, dock, store, plan=plan, ledger=opened, allow_faults=allow_faults, **options
            ) as service,
        ):
            yield service
        return

    async def open_store() -> Store:
        return store if not callable(store) else await store()

    events, log = _Events(), logging.Logger("service")
    log.addHandler(events)
    defaults: dict[str, Any] = {"settle_s": SETTLE_S, "patience": Patience(first_s=0.02, longest_s=0.1)}
    supervisor = Supervisor(
        dock=str(dock),
        plan=plan,
        ledger=ledger,
        open_store=open_store,
        reports=str(place / "reports"),
        log=log,
        **(defaults | options),
    )
    task = asyncio.create_task(supervisor.run())
    try:
        yield Service(supervisor, ledger, task, events)
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()
    assert not [record for record in events.records if record.exc_info and not allow_faults]


def memory() -> MemoryStore:
    """A bucket with small parts."""
    return MemoryStore(limits=LIMITS)


def options(**values: Any) -> ImportOptions:
    """Those of the tests, with others in their place."""
    return replace(PLAN.options, **values)


async def content_of(store: Store) -> dict[str, bytes]:
    """Key to content, of all but folders."""
    return {key: data for key, data in (await objects_in(store)).items() if not key.endswith("/")}


def wanted(site: Path, prefix: str = "p/") -> dict[str, bytes]:
    """What is to be in a bucket after an import."""
    return files_of(site / "source", prefix)


class Gate:
    """Decorates a store: calls of the given names are let through only while it is open.

    Attributes:
        reached: a call waits at the gate.
        calls: the keys and part numbers that were written.
    """

    def __init__(
        self,
        store: Store,
        *,
        is_open: bool = False,
        names: tuple[str, ...] = ("put", "put_part"),
        closes_behind: int = 0,
    ) -> None:
        """`closes_behind`: so many small objects are let through before it closes by itself; 0: all."""
        self._puts_left = closes_behind or -1
        self.reached = asyncio.Event()
        self.calls: list[str] = []
        self._store = store
        self._names = names
        self._open = asyncio.Event()
        if is_open:
            self._open.set()

    def open(self) -> None:
        """Let all pass from now on."""
        self._open.set()

    def close(self) -> None:
        """Hold all that come from now on."""
        self._open.clear()
        self.reached.clear()

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)
        if name not in self._names:
            return call

        async def gated(key: str, *arguments: Any, **named: Any) -> Any:
            if name == "put" and self._puts_left == 0:
                self.close()
            elif name == "put":
                self._puts_left -= 1
            self.reached.set()
            await self._open.wait()
            self.calls.append(key if name == "put" else f"{key} {arguments[1]}")
            return await call(key, *arguments, **named)

        return gated


class Sick:
    """Decorates a store: `probe` raises `error` while there is one."""

    def __init__(self, store: Store, error: Exception | None) -> None:
        self.error = error
        self.probes = 0
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def probe(self) -> Any:
        """As the store does, unless it is sick."""
        self.probes += 1
        if self.error is not None:
            raise self.error
        return await self._store.probe()
