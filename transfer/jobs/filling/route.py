"""Which device of a job takes which part of a source: where the set stands, and the legs that a command has
before it.

The parts of a set's devices follow each other: each begins behind the path where the one before was full. A
device's own headers say where it ended (FORMAT.md §11, `continues`); where it began, the device before it
says, or what this host remembers of the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from transfer.errors import DeviceError, UsageError
from transfer.jobs.filling.memory import JobMemory, MemberState, Place, SetMember
from transfer.jobs.filling.standing import Standing, standings_of
from transfer.jobs.filling.targets import Target


@dataclass
class Lanes:
    """Devices that are to be filled at once, from a path on."""

    targets: list[Target]
    after: bytes


@dataclass
class Leg:
    """A part of the source for one device.

    Attributes:
        leaves: what others have is left to them.
        after_version, until_version: as `Start` says.
    """

    target: Target
    after: bytes = b""
    until: bytes | None = None
    leaves: bool = False
    after_version: str = ""
    until_version: str = ""


@dataclass
class Route:
    """What a command has before it.

    Attributes:
        legs: one after the other.
        spares: empty devices for what the others do not hold.
        is_new: no device has anything of the source yet.
    """

    legs: list[Leg]
    spares: list[Target] = field(default_factory=list)
    is_new: bool = False


def find_route(targets: Sequence[Target], memory: JobMemory, source: str) -> Route:
    """The legs for these devices.

    Args:
        targets: by ordinal, their points found.
        memory: of the job; what is not at hand is taken from there.
        source: its name.

    Raises:
        UsageError: a device is missing, or has a number that does not fit.
        DeviceError: all that could take something are sealed.
    """
    standings = standings_of(targets, memory, source)
    fresh = [one for one in standings if one.state == "fresh" and one.target and not one.target.is_sealed]
    _forget_another_set(fresh, memory, source)
    at_hand = [one for one in standings if one.state != "fresh"]
    chain = sorted([*at_hand, *_elsewhere(targets, memory, source)], key=lambda one: one.ordinal)
    spares = [one.target for one in fresh if one.target]
    if not chain:
        return Route([Leg(spares[0], fresh[0].after)], spares[1:], is_new=True)
    last = chain[-1]
    _refuse_stripes(at_hand, memory, source)
    replaced = _replacement(fresh, chain)
    if replaced is not None:
        return replaced
    for spare in spares:
        if spare.ordinal <= last.ordinal:
            raise _out_of_order(spare, last)
    match last.state:
        case "open":
            return Route([_goes_on(last)], spares)
        case "full":
            return _behind_a_full_one(last, spares)
        case _:
            return _once_more(at_hand, spares)


def find_lanes(targets: Sequence[Target], memory: JobMemory, source: str) -> Lanes | None:
    """The devices that --stripe fills at once; None where all that were named are done.

    Raises:
        UsageError: one that was being filled is missing.
    """
    standings = standings_of(targets, memory, source)
    fresh = [one for one in standings if one.state == "fresh" and one.target and not one.target.is_sealed]
    _forget_another_set(fresh, memory, source)
    opened = [one for one in standings if one.state == "open"]
    _refuse_missing(targets, opened, memory, source)
    lanes = [one.target for one in (*opened, *fresh) if one.target]
    if not lanes:
        return None
    at_hand = [one for one in standings if one.state not in ("fresh", "open")]
    chain = sorted([*at_hand, *_elsewhere(targets, memory, source)], key=lambda one: one.ordinal)
    if opened:
        return Lanes(lanes, min(one.after for one in opened))
    after = (chain[-1].until or b"") if chain and chain[-1].state == "full" else b""
    return Lanes(lanes, after)


def _refuse_missing(
    targets: Sequence[Target], opened: list[Standing], memory: JobMemory, source: str
) -> None:
    here = {device.document.device_id for target in targets for device in target.devices}
    gone = [one for one in memory.open_stripes(source) if one.device_id not in here]
    if gone and opened:
        numbers = ", ".join(sorted({str(one.ordinal) for one in gone}))
        raise UsageError(
            f"the devices that were being filled at once are not all named: {numbers} is missing",
            remedy="name them all, and say --stripe",
        )


def _forget_another_set(fresh: list[Standing], memory: JobMemory, source: str) -> None:
    """An empty first device begins a new set."""
    for one in fresh:
        target = one.target
        if one.ordinal == 1 and target and memory.find(target.device.document.device_id, source) is None:
            memory.forget(source)
            one.after = one.goes_on_after = b""


def _elsewhere(targets: Sequence[Target], memory: JobMemory, source: str) -> list[Standing]:
    """The devices that are not at hand."""
    here = {device.document.device_id for target in targets for device in target.devices}
    named = {target.ordinal for target in targets if target.point and target.point.manifest.headers}
    return [
        Standing(
            member.ordinal,
            member.state,
            member.after.path_bytes,
            member.until.path_bytes if member.until is not None else None,
            member.after.path_bytes,
        )
        for member in memory.of(source)
        if member.device_id not in here and member.ordinal not in named
    ]


def _replacement(fresh: list[Standing], chain: list[Standing]) -> Route | None:
    """An empty device with the number of one that is not there takes its place: it was lost, or it failed."""
    known = {one.ordinal: one for one in chain if one.target is None}
    legs = [
        Leg(one.target, known[one.ordinal].after, known[one.ordinal].until)
        for one in fresh
        if one.target and one.ordinal in known and one.ordinal > 1
    ]
    if not legs:
        return None
    last = chain[-1].ordinal
    spares = [one.target for one in fresh if one.target and one.ordinal > last]
    return Route(legs, spares)


def _refuse_stripes(at_hand: list[Standing], memory: JobMemory, source: str) -> None:
    """What several devices were being filled with at once can only be gone on with so."""
    opened = [one for one in at_hand if one.state == "open" and one.until is None]
    ended = {
        device.document.device_id
        for one in at_hand
        if one.target is not None and one.state != "open"
        for device in one.target.devices
    }
    if len(opened) > 1 or any(one.device_id not in ended for one in memory.open_stripes(source)):
        raise UsageError(
            "the copy that was interrupted filled several devices at once",
            remedy="name the same devices, and say --stripe",
        )


def _goes_on(last: Standing) -> Leg:
    if last.target is None:
        raise UsageError(
            f"the copy to device {last.ordinal} of the job has not ended, and the device is not named",
            remedy="name it too: the copy goes on there; or, if it is lost, prepare another with its number",
        )
    return Leg(last.target, last.goes_on_after, last.until)


def _behind_a_full_one(last: Standing, spares: list[Target]) -> Route:
    after = last.until or b""
    if spares:
        return Route([Leg(spares[0], after)], spares[1:])
    if last.target is None or last.target.is_sealed:
        raise DeviceError(
            f"device {last.ordinal} of the job is full, and no device behind it is named",
            remedy=f"prepare another with --ordinal {last.ordinal + 1}, and name that",
        )
    return Route([Leg(last.target, after)])


def _once_more(at_hand: list[Standing], spares: list[Target]) -> Route:
    """All was copied once: each device takes what changed in its own part."""
    leaves = len(at_hand) > 1 and not any(one.target is not None and one.target.is_sealed for one in at_hand)
    legs = [
        Leg(one.target, one.goes_on_after if one.state == "open" else one.after, one.until, leaves)
        for one in at_hand
        if one.target is not None and not one.target.is_sealed
    ]
    if legs:
        return Route(legs, spares)
    if not spares:
        raise DeviceError(
            "all devices that were named are sealed: they take no more data",
            remedy="prepare another device",
        )
    return Route([Leg(spares[0])], spares[1:])


def _out_of_order(spare: Target, last: Standing) -> UsageError:
    what = f"device {spare.name} has number {spare.ordinal}, and the job goes on behind number {last.ordinal}"
    return UsageError(what, remedy=f"prepare it with --ordinal {last.ordinal + 1}")


def members_of(
    target: Target,
    source: str,
    *,
    after: bytes,
    until: bytes | None,
    state: MemberState,
    until_version: str = "",
    is_stripe: bool = False,
) -> list[SetMember]:
    """What is to be remembered of a target's devices."""
    return [
        SetMember(
            ordinal=target.ordinal,
            device_id=device.document.device_id,
            source=source,
            after=Place.at(after),
            until=Place.at(until) if until is not None else None,
            state=state,
            until_version=until_version,
            is_stripe=is_stripe,
        )
        for device in target.devices
    ]
