"""What a carrier can do to a device: the faults of a drill, asked for by --fault, chosen by chance.

    bitflip:N      N bits of packs and segments turn round, anywhere, each byte being as likely as any other
    truncate:N     N packs or segments lose their end
    lose-pack:N    N packs are gone
    swap-device    the device's identity is that of another one, as when two disks are mixed up
    delay:DAYS     it arrives later

Rules:
    - The same seed and the same device give the same faults.
    - No fault hides another: no file is hit by two kinds of them, no bit is turned twice.
    - Each fault says exactly what it does, and doing it twice is doing it once: a drill that was interrupted
      can be carried on.
    - Only what the seal has under a digest is hit (and DEVICE.json, by swap-device): a fault that nothing
      could find would teach nothing.

Does not: touch a device, or make its own chance.
"""

from __future__ import annotations

import re
import uuid
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated, Final, Protocol

from msgspec import Meta, Struct

from transfer.core.records import Size
from transfer.core.tracking import MAX_DAYS, Days
from transfer.errors import UsageError

MAX_FAULTS: Final = 10_000
FAULT_FORMS: Final = "write bitflip:N, truncate:N, lose-pack:N, swap-device or delay:DAYS"

Byte = Annotated[int, Meta(ge=0, le=255)]
DeviceFileName = Annotated[str, Meta(pattern=r"^(packs/|segments/)?[A-Za-z0-9][A-Za-z0-9._-]{0,63}(?!\n)$")]
DeviceId = Annotated[str, Meta(pattern=r"^[0-9a-f-]{36}(?!\n)$")]


class RandomSource(Protocol):
    """Where chance comes from; `random.Random` is one."""

    def randrange(self, stop: int, /) -> int:
        """An integer from 0 to `stop` - 1, all alike."""


class Fault(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """What all faults have: a `kind` in their records."""


class Bitflip(Fault, frozen=True, tag="bitflip"):
    """One bit, the lowest being 0, of the byte at `offset` of a file turned round."""

    file: DeviceFileName
    offset: Size
    bit: Annotated[int, Meta(ge=0, le=7)]
    before: Byte
    after: Byte


class Truncation(Fault, frozen=True, tag="truncate"):
    """A file of `size_bytes` has only its first `left_bytes`."""

    file: DeviceFileName
    size_bytes: Size
    left_bytes: Size


class LostPack(Fault, frozen=True, tag="lose-pack"):
    """A pack of `size_bytes` is gone."""

    file: DeviceFileName
    size_bytes: Size


class SwappedDevice(Fault, frozen=True, tag="swap-device"):
    """DEVICE.json says another device."""

    file: DeviceFileName
    before: DeviceId
    after: DeviceId


class Delay(Fault, frozen=True, tag="delay"):
    """The carrier took `days` more."""

    days: Days


AnyFault = Bitflip | Truncation | LostPack | SwappedDevice | Delay


@dataclass(frozen=True)
class FaultPlan:
    """How many of each kind are asked for."""

    bitflips: int = 0
    truncations: int = 0
    lost_packs: int = 0
    delay_days: int = 0
    swaps: bool = False

    @property
    def damages(self) -> bool:
        """Whether it changes what is on the device."""
        return bool(self.bitflips or self.truncations or self.lost_packs or self.swaps)


@dataclass(frozen=True)
class Victim:
    """A pack or segment that chance may choose."""

    name: str
    size_bytes: int
    is_pack: bool


# More digits are beyond every limit, and would let hostile input build huge integers.
_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_FIELDS: Final = {
    "bitflip": ("bitflips", MAX_FAULTS),
    "truncate": ("truncations", MAX_FAULTS),
    "lose-pack": ("lost_packs", MAX_FAULTS),
    "delay": ("delay_days", MAX_DAYS),
}


def parse_faults(texts: Sequence[str]) -> FaultPlan:
    """The plan that the values of --fault make up; of one kind given twice the numbers add up.

    Raises:
        UsageError: a value is none of the forms, or a number is 0 or too large.
    """
    counts: dict[str, int] = {}
    for text in texts:
        if text == "swap-device":
            continue
        kind, _, number = text.partition(":")
        field, limit = _FIELDS.get(kind, ("", 0))
        if not field or not _NUMBER.fullmatch(number):
            raise UsageError(f"--fault: {text[:80]!r} is no fault", remedy=FAULT_FORMS)
        counts[field] = counts.get(field, 0) + int(number)
        if not 0 < counts[field] <= limit:
            raise UsageError(f"--fault: {kind} takes 1 to {limit:,}", remedy=FAULT_FORMS)
    return FaultPlan(**counts, swaps="swap-device" in texts)


def choose_faults(
    plan: FaultPlan,
    device_id: str,
    victims: Sequence[Victim],
    chance: RandomSource,
    read_byte: Callable[[str, int], int],
) -> list[AnyFault]:
    """Choose what exactly is done to a device.

    Args:
        plan: what is asked for.
        device_id: the device's own.
        victims: its packs and segments, in an order that is always the same.
        chance: decides.
        read_byte: gives the byte of a file at an offset.

    Raises:
        UsageError: the device has too little to do all that to.
    """
    packs = [victim for victim in victims if victim.is_pack]
    lost = _draw(packs, plan.lost_packs, "lose-pack", chance)
    rest = _without(lost, [victim for victim in victims if victim.size_bytes])
    cut = _draw(rest, plan.truncations, "truncate", chance)
    whole = _without(cut, rest)
    faults: list[AnyFault] = [LostPack(file=victim.name, size_bytes=victim.size_bytes) for victim in lost]
    for victim in cut:
        left = chance.randrange(victim.size_bytes)
        faults.append(Truncation(file=victim.name, size_bytes=victim.size_bytes, left_bytes=left))
    faults += _flips(whole, plan.bitflips, chance, read_byte)
    if plan.swaps:
        faults.append(SwappedDevice(file="DEVICE.json", before=device_id, after=_other_id(chance)))
    if plan.delay_days:
        faults.append(Delay(days=plan.delay_days))
    return faults


def _draw(victims: Sequence[Victim], count: int, kind: str, chance: RandomSource) -> list[Victim]:
    """So many of the victims, in their own order."""
    if count > len(victims):
        raise UsageError(
            f"--fault: {kind}:{count} is more than the {len(victims)} files that it could hit",
            remedy="ask for less, or take a device with more packs",
        )
    left = list(victims)
    drawn = {left.pop(chance.randrange(len(left))) for _ in range(count)}
    return [victim for victim in victims if victim in drawn]


def _without(taken: Sequence[Victim], victims: Sequence[Victim]) -> list[Victim]:
    gone = set(taken)
    return [victim for victim in victims if victim not in gone]


def _flips(
    victims: Sequence[Victim], count: int, chance: RandomSource, read_byte: Callable[[str, int], int]
) -> list[Bitflip]:
    ends = list(accumulate(victim.size_bytes for victim in victims))
    total = ends[-1] if ends else 0
    if count > total:
        raise UsageError(
            f"--fault: bitflip:{count} is more than the {total} bytes that it could hit",
            remedy="ask for less, or take a larger device",
        )
    chosen: set[int] = set()
    while len(chosen) < count:  # one bit a byte at most: `before` and `after` then hold for each by itself
        chosen.add(chance.randrange(total))
    flips = []
    for place in sorted(chosen):
        number = bisect_right(ends, place)
        victim, offset = victims[number], place - (ends[number - 1] if number else 0)
        bit, before = chance.randrange(8), read_byte(victim.name, offset)
        flips.append(
            Bitflip(file=victim.name, offset=offset, bit=bit, before=before, after=before ^ (1 << bit))
        )
    return flips


def _other_id(chance: RandomSource) -> str:
    return str(uuid.UUID(int=chance.randrange(1 << 128), version=4))
