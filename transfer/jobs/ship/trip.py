"""What a shipment is, before it begins: its record, its length, what goes wrong on it."""

from __future__ import annotations

import os
import random
import secrets
import uuid
from datetime import datetime

from transfer.core.faults import AnyFault, FaultPlan, parse_faults
from transfer.core.moments import parse_moment
from transfer.core.paths import to_text
from transfer.core.tracking import Event, Route, follow
from transfer.device.device import Device
from transfer.device.profiles import load_profile, profile_names
from transfer.errors import UsageError
from transfer.formats.documents import DeviceDocument
from transfer.formats.tracking import FaultsDocument, TrackingDocument
from transfer.jobs.ship.cargo import Sealed
from transfer.jobs.ship.damage import choose
from transfer.jobs.ship.dock import folder_name
from transfer.jobs.ship.options import ShipOptions


def read_plan(options: ShipOptions) -> FaultPlan:
    """The faults that are asked for.

    Raises:
        UsageError: they are none, or would damage the only copy.
    """
    plan = parse_faults(options.faults)
    if options.move and plan.damages:
        raise UsageError(
            "--fault would damage the only copy: --move leaves no original",
            remedy="leave --move out; with it only delay:DAYS is possible",
        )
    return plan


def new_shipment(
    device: Device,
    sealed: Sealed,
    options: ShipOptions,
    *,
    renames: bool,
    now: datetime,
) -> tuple[TrackingDocument, FaultsDocument | None]:
    """The records of a device that is handed over now; `renames`: its files only change their place.

    Raises:
        UsageError: the days are not known, or the faults are not possible.
        FormatError: a time of its documents is none.
    """
    plan, document = read_plan(options), device.document
    shipment_id = str(uuid.uuid4())
    seed, faults = _choose(plan, device, sealed, options.seed)
    route = Route(_days(document, options.days), plan.delay_days, options.day_length_s)
    source, source_base64 = to_text(os.fsencode(device.root))
    tracking = TrackingDocument(
        shipment_id=shipment_id,
        device_id=document.device_id,
        job=document.job,
        ordinal=document.ordinal,
        profile=document.profile,
        seal_blake3=sealed.seal_blake3,
        source=source,
        source_base64=source_base64,
        folder=folder_name(document),
        move=options.move,
        carried_by="rename" if renames else "copy",
        route=route,
        due=route.due(now),
        faults=list(options.faults),
        seed=seed,
        files=len(sealed.cargo.files),
        size_bytes=sealed.cargo.size_bytes,
        loaded=False,
        source_removed=False,
        events=_events(device, sealed, now),
    )
    if seed is None:
        return tracking, None
    record = FaultsDocument(shipment_id=shipment_id, device_id=document.device_id, seed=seed, faults=faults)
    return tracking, record


def refuse_another_request(record: TrackingDocument, options: ShipOptions) -> None:
    """Raise UsageError when a shipment that is under way was asked for in another way."""
    asked = [
        ("--move", record.move, options.move),
        ("--fault", list(record.faults), list(options.faults)),
        ("--seed", record.seed, record.seed if options.seed is None else options.seed),
        (
            "--days",
            record.route.carrier_days,
            record.route.carrier_days if options.days is None else options.days,
        ),
    ]
    for option, was, is_now in asked:
        if was != is_now and not (option == "--seed" and was is None):
            raise UsageError(
                f"device {record.device_id} is under way with {option} {_spell(was)}, not {_spell(is_now)}",
                remedy="give the command as it was given first",
            )


def _choose(
    plan: FaultPlan, device: Device, sealed: Sealed, seed: int | None
) -> tuple[int | None, list[AnyFault]]:
    if plan == FaultPlan():
        return None, []
    seed = secrets.randbits(32) if seed is None else seed
    chance = random.Random(seed)  # noqa: S311 - a drill that can be repeated, not a secret
    return seed, choose(plan, device.document.device_id, device.root, sealed.cargo.files, chance)


def _days(document: DeviceDocument, days: int | None) -> int:
    if days is not None:
        return days
    # Only a name that comes with the program: a device must not say which file is read.
    if document.profile not in profile_names():
        raise UsageError(
            f"how many days a device of profile {document.profile!r} takes is not known here",
            remedy="say --days N",
        )
    return load_profile(document.profile).carrier.days


def _events(device: Device, sealed: Sealed, now: datetime) -> tuple[Event, ...]:
    created = parse_moment(device.document.created, "created in DEVICE.json")
    closed = parse_moment(sealed.seal.sealed, "sealed in SEAL.json")
    events: tuple[Event, ...] = ()
    for event in (
        Event("prepared", created, created),
        Event("with-customer", closed, closed),
        Event("in-transit", now, now),
    ):
        events = follow(events, event)
    return events


def _spell(value: object) -> str:
    if isinstance(value, bool):
        return "given" if value else "not given"
    return (" ".join(value) if isinstance(value, list) else str(value)) or "none"
