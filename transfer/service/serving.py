"""The service as a process: its parts put together, and how it stops.

Start, in this order, so that whoever cannot run says why before anything happens: tokens, dock, ledger,
address; then the supervisor, then the first request.

Stop, by SIGTERM or SIGINT: it is not ready any more and takes no orders; imports are parked, their uploads
stay open at the store and in the ledger; running requests end; the ledger is flushed. A second signal ends
the process at once, with 128 and the signal's number: what is in the ledger is enough for the next start.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from transfer.device.clock import timestamp
from transfer.errors import DeviceError, TransferError
from transfer.ledger.ledger import open_ledger
from transfer.service.http.access import KnownTokens
from transfer.service.http.app import HttpService
from transfer.service.http.listener import Listener
from transfer.service.ingest.dock_lock import lock_dock
from transfer.service.ingest.plan import Plan
from transfer.service.ingest.supervisor import Supervisor
from transfer.stores.contract import Store

REQUESTS_END_S: Final = 10.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

_log = logging.getLogger("transfer.service")


@dataclass(frozen=True)
class Serving:
    """What a service is started with.

    Attributes:
        dock: the folder where devices arrive.
        ledger: a file or URL.
        reports: a folder; each job gets its own in it.
        tokens: the file of those who may ask.
        open_store: opens the bucket.
        port: 0 for any that is free.
        tls: for https.
        settle_s: a device is looked at when nothing in its folder has changed for so long.
    """

    dock: str
    plan: Plan
    ledger: str
    reports: str
    tokens: str
    open_store: Callable[[], Awaitable[Store]]
    host: str
    port: int
    tls: ssl.SSLContext | None = None
    settle_s: float = 5.0


async def serve(serving: Serving, on_listening: Callable[[str], None]) -> None:
    """Serve until a signal comes.

    Args:
        serving: how.
        on_listening: told the URL, when requests are answered.

    Raises:
        DeviceError: there is no dock.
        LockedError: another service has the dock or the ledger.
        TransferError: the service cannot start, or the ledger failed.
    """
    stop = _stop_by_signals()
    tokens = KnownTokens(serving.tokens, _log)
    await asyncio.to_thread(_check_dock, serving.dock)
    async with open_ledger(serving.ledger, timestamp) as ledger:
        supervisor = Supervisor(
            dock=serving.dock,
            plan=serving.plan,
            ledger=ledger,
            open_store=serving.open_store,
            reports=serving.reports,
            log=_log,
            settle_s=serving.settle_s,
        )
        http = HttpService(supervisor, tokens, timestamp)
        listener = Listener(http.server, serving.tls)
        await listener.start(serving.host, serving.port)
        running = asyncio.ensure_future(supervisor.run())
        try:
            _say_hello(serving, listener.url, tokens)
            on_listening(listener.url)
            await asyncio.wait([running, stop], return_when=asyncio.FIRST_COMPLETED)
        finally:
            http.stop()
            try:
                await _end(running)
            finally:
                await listener.stop(REQUESTS_END_S)
    _log.info("stopped")


def _say_hello(serving: Serving, url: str, tokens: KnownTokens) -> None:
    _log.info("listening on %s, watching dock %s", url, serving.dock)
    if not tokens.current():
        _log.warning("there are no tokens, so nobody can ask; 'transfer tokens add NAME' makes one")


async def _end(running: asyncio.Future[None]) -> None:
    """Park all, where it still runs.

    Raises:
        TransferError: it has ended by itself, or could not be parked.
    """
    running.cancel()
    try:
        with suppress(asyncio.CancelledError):
            await running
    except TransferError as error:
        _log.error("the service ends: %s", error)
        raise


def _check_dock(dock: str) -> None:
    """Whether there is a dock and nobody serves it; the supervisor takes its lock for good.

    Raises:
        DeviceError: there is none.
        LockedError: another service has it.
    """
    try:
        descriptor = lock_dock(os.path.realpath(dock))
    except OSError as error:
        what = f"dock {dock} cannot be used: {error.strerror}"
        raise DeviceError(what, remedy="name the folder where devices arrive; mount it first") from None
    if descriptor is not None:
        os.close(descriptor)


def _stop_by_signals() -> asyncio.Future[None]:
    """Done when a signal comes; the next one ends the process."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[None] = loop.create_future()

    def on_signal(number: signal.Signals) -> None:
        _log.info("%s: parking imports, then stopping; a second signal ends at once", number.name)
        for each in _SIGNALS:
            loop.remove_signal_handler(each)
            # Not through the loop, which may be busy: this one has to work whatever happens.
            signal.signal(each, lambda second, _: os._exit(128 + second))
        stop.set_result(None)

    for number in _SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    return stop
