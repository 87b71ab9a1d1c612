"""The devices of a job as they arrive together: whether they belong together, and which are not there."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from transfer.core.ordinals import may_go_on
from transfer.device.custody import read_log
from transfer.device.layout import CUSTODY_NAME
from transfer.errors import IntegrityError, UsageError
from transfer.formats.custody import Log
from transfer.jobs.import_.arrival import Arrival, receive
from transfer.jobs.restore.options import RestoreOptions
from transfer.jobs.restore.outcome import Outcome, Restored
from transfer.jobs.verify.findings import Finding


def arrivals_of(roots: Sequence[str], options: RestoreOptions, outcome: Outcome) -> list[Arrival]:
    """All devices, each checked on arrival, by ordinal.

    Raises:
        TransferError: one is not to be taken, or they do not belong together.
    """
    arrivals = [
        receive(
            root,
            options.incomplete,
            outcome.found,
            options.keys,
            options.signers,
            reads_segments=not options.paths,
        )
        for root in roots
    ]
    arrivals.sort(key=lambda arrival: (arrival.device.document.ordinal, arrival.device.document.device_id))
    _refuse_strangers(arrivals)
    outcome.devices = [_restored(arrival, options.heads, outcome) for arrival in arrivals]
    outcome.missing_devices = _missing(arrivals)
    outcome.later_devices = may_go_on(outcome.missing_devices, (device.ordinal for device in outcome.devices))
    return arrivals


def _refuse_strangers(arrivals: Sequence[Arrival]) -> None:
    first = arrivals[0].device
    seen: dict[str, str] = {}
    for device in (arrival.device for arrival in arrivals):
        document = device.document
        if document.job != first.document.job:
            what = f"{first.root} is of job {first.document.job}, {device.root} of job {document.job}"
            raise UsageError(what, remedy="restore the devices of one job together")
        if document.device_id in seen:
            what = f"{seen[document.device_id]} and {device.root} are the same device"
            raise UsageError(what, remedy="name it once")
        seen[document.device_id] = device.root


def _restored(arrival: Arrival, heads: Sequence[str], outcome: Outcome) -> Restored:
    device, seal = arrival.device, arrival.files.seal
    log = _log(arrival, outcome)
    if heads and (log is None or not {log.anchor, *log.digests}.intersection(heads)):
        what = f"the custody log of {device.root} has no entry that was expected"
        why = "its tail was cut off, it was edited, or this is another device"
        raise IntegrityError(f"{what}: {why}", remedy="do not trust this device: ask all who had it")
    return Restored(
        device=device.root,
        device_id=device.document.device_id,
        job=device.document.job,
        ordinal=device.document.ordinal,
        generation=seal.generation if seal is not None else 0,
        seal_blake3=arrival.seal_blake3,
        custody_entry=log.head.number if log is not None else -1,
        custody_blake3=log.head.blake3 if log is not None else "",
        signed_by=arrival.files.signed_by,
    )


def _log(arrival: Arrival, outcome: Outcome) -> Log | None:
    """The custody log; None where it is broken, which is told."""
    try:
        return read_log(arrival.device.layout)
    except IntegrityError as error:
        detail = error.what.removeprefix(CUSTODY_NAME).lstrip(": ")
        outcome.found(Finding(code="custody-invalid", file=CUSTODY_NAME, detail=detail))
        return None


def _missing(arrivals: Sequence[Arrival]) -> list[int]:
    """Ordinals below the highest that any device tells of, its own included, that were not given."""
    given = {arrival.device.document.ordinal for arrival in arrivals}
    known = set(given)
    for arrival in arrivals:
        seal = arrival.files.seal
        if seal is not None and seal.devices is not UNSET:
            known.update(device.ordinal for device in seal.devices)
    last = arrivals[-1].manifest.headers
    if last and last[-1].continues:
        known.add(max(given) + 1)
    return sorted(set(range(1, max(known) + 1)) - given)
