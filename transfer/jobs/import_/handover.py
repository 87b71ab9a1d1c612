"""The custody log of a device that arrives: held against what the ledger remembers of it, then continued.

The ledger remembers the newest head that was seen. A log that does not contain it was cut or edited, and its
device is refused; `ImportOptions.ignore_custody` takes it all the same, and remembers what it brings. Entries
are written only where somebody says who answers for them: the device of another is not written to unasked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from transfer.device.custody import read_log
from transfer.device.device import Device
from transfer.errors import IntegrityError
from transfer.formats.custody import Event, Head, Log
from transfer.jobs.custody import is_received, refuse_unless_continued, try_to_add
from transfer.jobs.import_.options import ImportOptions
from transfer.ledger.ledger import Ledger

_MAX_DESTINATION_CHARS = 800


class Handover:
    """The log of one device, while it is imported.

    Args:
        ledger: remembers heads.
        device: that arrived.
        options: of the import: `who`, `ignore_custody`, and where the objects go.
        note: told what a person should know.
    """

    def __init__(
        self, ledger: Ledger, device: Device, options: ImportOptions, note: Callable[[str], None]
    ) -> None:
        self._ledger = ledger
        self._device = device
        self._options = options
        self._note = note
        self._log: Log | None = None

    async def check(self) -> None:
        """Read the log, and hold it against what was seen of it.

        Raises:
            IntegrityError: it cannot be trusted.
            DeviceError: it cannot be read.
        """
        root = self._device.root
        try:
            self._log = log = await asyncio.to_thread(read_log, self._device.layout)
            seen = await self._ledger.devices.custody(self._device.document.device_id)
            if seen is not None:
                refuse_unless_continued(log, seen)
        except IntegrityError as error:
            what = f"the custody log of {root} cannot be trusted: {error.what}"
            if not self._options.ignore_custody:
                remedy = "ask all who had the device; --ignore-custody takes it all the same"
                raise IntegrityError(what, remedy=remedy) from error
            self._note(f"{what}; ignored, as asked for")

    async def received(self) -> None:
        """The device was accepted: the ledger knows it."""
        if self._log is None:
            return
        await self._remember(self._log.head)
        if self._options.who is not None and not is_received(self._log):
            await self._add("received")

    async def imported(self, *, is_whole: bool) -> None:
        """The import has come to its end."""
        if self._log is not None and self._options.who is not None:
            await self._add("imported", "" if is_whole else "in part")

    async def _add(self, event: Event, note: str = "") -> None:
        note = ", ".join(filter(None, (self._destination(), note))) if event == "imported" else note
        added = await asyncio.to_thread(
            try_to_add, self._device, event, who=self._options.who or "", note=note, verb="import"
        )
        if isinstance(added, Head):
            await self._remember(added)
        else:
            self._note(added)

    async def _remember(self, head: Head) -> None:
        if head.number >= 0:
            await self._ledger.devices.remember_custody(self._device.document.device_id, head)

    def _destination(self) -> str:
        """Where the objects are; nothing of an encrypted device, whose log others can read."""
        if self._device.document.is_encrypted:
            return ""
        return f"s3://{self._options.bucket}/{self._options.prefix}"[:_MAX_DESTINATION_CHARS]
