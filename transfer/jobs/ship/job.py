"""ship, the job: leads a device through its states, from wherever an earlier try left it.

- The device appears in the dock whole or not at all: it is gathered under a hidden name, made durable, and
  renamed at the end.
- Each record is durable before the step that it tells of, so that after any crash the same command knows
  where to go on. What was done twice is as if it was done once.
- Damage is done to the copy only, after it is whole and before it is docked.
- A move removes the original when its copy was compared and is docked.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime

import msgspec

from transfer.core.progress import Progress
from transfer.core.tracking import Event, Route, State, docked_at, follow
from transfer.device.custody import append_entry
from transfer.device.disk import sync_directory
from transfer.device.layout import Layout
from transfer.device.lock import locked
from transfer.errors import DeviceError
from transfer.formats.tracking import FaultsDocument, TrackingDocument
from transfer.jobs.ship.cargo import Cargo, Sealed, list_cargo
from transfer.jobs.ship.damage import damage
from transfer.jobs.ship.dock import Dock, dock_errors
from transfer.jobs.ship.loading import Loading, can_rename, refuse_without_room
from transfer.jobs.ship.options import ShipOptions, Shipped
from transfer.jobs.ship.originals import compare, remove_original
from transfer.jobs.ship.standing import Standing, look
from transfer.jobs.ship.trip import new_shipment, read_plan, refuse_another_request


def _now() -> datetime:
    return datetime.now(UTC)


class Shipment:
    """One shipment of one device to one dock.

    Args:
        device: where the device is.
        dock: where it goes.
        options: how.
        observe: told how far it is.
        note: told of the way, a line at a time.
        sleep: waits so many seconds.
        now: the time, with its zone.
    """

    def __init__(
        self,
        device: str,
        dock: str,
        options: ShipOptions,
        *,
        observe: Callable[[Progress], None] = lambda progress: None,
        note: Callable[[str], None] = lambda line: None,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._source = os.path.realpath(device)
        self._dock = Dock(os.path.realpath(dock))
        self._options = options
        self._observe = observe
        self._note = note
        self._sleep = sleep
        self._now = now
        self._left_behind: list[str] = []
        self._loading: Loading | None = None
        self._elapsed_s = 0.0

    def run(self) -> Shipped:
        """Carry it out, or carry it on.

        Raises:
            UsageError: the request makes no sense.
            DeviceError: the device is not one that can travel, the dock is none, or a disk failed.
            DeviceFullError: the dock has too little room.
            IntegrityError: the device is broken, or its copy differs.
            LockedError: another process is at it.
        """
        read_plan(self._options)
        self._dock.check()
        standing = look(self._source, self._dock)
        settled = self._settled(standing)
        if settled is not None:
            return settled
        if self._options.dry_run:
            return self._rehearse(standing)
        with ExitStack() as held:
            held.enter_context(self._dock.exclusive(standing.device_id))
            if self._options.move and os.path.isdir(self._source):
                held.enter_context(locked(Layout(self._source), "ship"))
            # Another process may have settled it since.
            return self._settled(standing) or self._carry(standing)

    def _settled(self, standing: Standing) -> Shipped | None:
        """The outcome where the device is in the dock and nothing is left to do."""
        if not standing.is_berthed():
            return None
        record = standing.record()
        if record is not None and (record.state != "docked" or self._has_to_remove(record)):
            return None
        return Shipped("already-docked", standing.berth, record, standing.faults(record))

    def _has_to_remove(self, record: TrackingDocument) -> bool:
        return self._options.move and record.move and not record.source_removed

    def _rehearse(self, standing: Standing) -> Shipped:
        record = standing.under_way()
        if record is not None:
            refuse_another_request(record, self._options)
            return Shipped("would-ship", standing.berth, record, standing.faults(record))
        sealed, record, faults = self._plan(standing)
        listed = faults.faults if faults else []
        return Shipped("would-ship", standing.berth, record, listed, sealed.cargo.left_behind)

    def _plan(self, standing: Standing) -> tuple[Sealed, TrackingDocument, FaultsDocument | None]:
        """What travels, and the records of a new shipment; nothing is written."""
        device, sealed = standing.inspect(allow_incomplete=self._options.incomplete)
        renames = self._options.move and can_rename(self._source, self._dock)
        if not renames:
            refuse_without_room(self._dock, sealed.cargo.files)
        record, faults = new_shipment(device, sealed, self._options, renames=renames, now=self._now())
        return sealed, record, faults

    def _carry(self, standing: Standing) -> Shipped:
        record = standing.record()
        if record is None or not standing.is_berthed():
            began = time.monotonic()
            record = self._load(standing, self._begin(standing))
            self._elapsed_s = time.monotonic() - began
            record = self._deliver(standing, record)
        record = self._dock_it(standing, record)
        if self._has_to_remove(record):
            remove_original(self._source, standing.berth, self._dock)
            record = self._save(record, source_removed=True)
        done = (self._loading.files_done, self._loading.bytes_done) if self._loading else (0, 0)
        faults = standing.faults(record)
        return Shipped("docked", standing.berth, record, faults, self._left_behind, *done, self._elapsed_s)

    def _begin(self, standing: Standing) -> TrackingDocument:
        """The record of the shipment, of a new one or of the one that was interrupted."""
        record = standing.under_way()
        if record is not None:
            refuse_another_request(record, self._options)
            self._note(f"going on with the shipment of device {record.device_id}: it is {record.state}")
            route = Route(record.route.carrier_days, record.route.delay_days, self._options.day_length_s)
            return self._save(record, route=route)
        _, record, faults = self._plan(standing)
        if self._options.who is not None:
            self._hand_over(self._options.who)
            _, record, faults = self._plan(standing)  # its log has grown
        self._dock.save_faults(record.device_id, faults)
        self._dock.save(record)
        return record

    def _hand_over(self, who: str) -> None:
        """Say so in the custody log, before the device is carried away with it."""
        layout = Layout(self._source)
        with nullcontext() if self._options.move else locked(layout, "ship"):  # a move has the lock already
            append_entry(layout, "handed-over", who=who)

    def _load(self, standing: Standing, record: TrackingDocument) -> TrackingDocument:
        """Bring every file over."""
        if record.loaded:
            return record
        loading = self._loading = Loading(self._source, standing.arriving, self._dock, self._observe)
        cargo: Cargo | None = None
        if record.carried_by == "rename":
            cargo = self._rename(loading)
            if cargo is None:
                record = self._save(record, carried_by="copy")
        cargo = cargo or self._copy(standing, record, loading)
        self._left_behind = cargo.left_behind
        _refuse_unless_whole(record, standing.arriving, self._dock)
        return self._save(record, loaded=True)

    def _rename(self, loading: Loading) -> Cargo | None:
        cargo = list_cargo(self._source) if os.path.isdir(self._source) else Cargo([], [])
        loading.make_folders(cargo.files)
        return cargo if loading.rename(cargo.files) else None

    def _copy(self, standing: Standing, record: TrackingDocument, loading: Loading) -> Cargo:
        _, sealed = standing.inspect(allow_incomplete=self._options.incomplete)
        if sealed.seal_blake3 != record.seal_blake3:
            what = f"device {self._source} has another seal than the one that is under way"
            raise DeviceError(what, remedy=f"take {standing.arriving} away to begin anew")
        files = sealed.cargo.files
        loading.make_folders(files)
        missing = loading.missing(files)
        refuse_without_room(self._dock, missing)
        loading.copy(missing)
        if record.move:
            compare(self._source, standing.arriving, files, self._dock, self._observe)
        return sealed.cargo

    def _deliver(self, standing: Standing, record: TrackingDocument) -> TrackingDocument:
        """Do what was asked for, wait for the days to pass, give the device its name in the dock."""
        with dock_errors(self._dock.root):
            damage(standing.arriving, standing.faults(record))
        if record.state == "in-transit":
            self._wait(record)
            record = self._enter(record, "delivered", record.due)
        with dock_errors(self._dock.root):
            os.rename(standing.arriving, standing.berth)
        return record

    def _wait(self, record: TrackingDocument) -> None:
        route, handed_over = record.route, record.events[-1].real
        while (left_s := route.remaining_s(handed_over, self._now())) > 0:
            day = int(route.days_passed(handed_over, self._now())) + 1
            self._note(f"in transit, day {day} of {route.days}")
            self._sleep(min(left_s, route.day_length_s))

    def _dock_it(self, standing: Standing, record: TrackingDocument) -> TrackingDocument:
        """The device has its name; make that durable, and say so."""
        if record.state == "docked":
            return record
        if record.state != "delivered" or os.path.lexists(standing.arriving):
            what = f"{standing.berth} is there, but by its record the device is {record.state}"
            raise DeviceError(what, remedy="look at both, and take away what does not belong there")
        with dock_errors(self._dock.root):
            sync_directory(self._dock.root)
        return self._enter(record, "docked", docked_at(record.events[-1], self._now()))

    def _enter(self, record: TrackingDocument, state: State, simulated: datetime) -> TrackingDocument:
        return self._save(record, events=follow(record.events, Event(state, simulated, self._now())))

    def _save(self, record: TrackingDocument, **changes: object) -> TrackingDocument:
        record = msgspec.structs.replace(record, **changes)
        self._dock.save(record)
        return record


def _refuse_unless_whole(record: TrackingDocument, arriving: str, dock: Dock) -> None:
    with dock_errors(dock.root):
        cargo = list_cargo(arriving)
    if (len(cargo.files), cargo.size_bytes) != (record.files, record.size_bytes):
        there = f"{len(cargo.files)} files, {cargo.size_bytes} bytes"
        raise DeviceError(
            f"{arriving} has {there}; the device had {record.files} files, {record.size_bytes} bytes",
            remedy="somebody else was at it: look at both, and take away what does not belong there",
        )
