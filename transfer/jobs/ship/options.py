"""What a shipment is asked for, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from transfer.core.faults import AnyFault
from transfer.formats.tracking import TrackingDocument


@dataclass(frozen=True)
class ShipOptions:
    """What to do.

    Attributes:
        move: the original is removed once the device is docked.
        incomplete: take a device whose last copy did not end.
        days: days on the way; None: those of the device's profile.
        day_length_s: how long a simulated day really takes.
        faults: as --fault has them.
        seed: what the chance of the faults begins with; None: something new.
        who: who hands the device over, for its custody log; None: nothing is written to the device.
        dry_run: look, and write nothing.
    """

    move: bool = False
    incomplete: bool = False
    days: int | None = None
    day_length_s: float = 0.0
    faults: tuple[str, ...] = ()
    seed: int | None = None
    who: str | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Shipped:
    """How it ended.

    Attributes:
        outcome: `docked`: by this command; `already-docked`: nothing was left to do; `would-ship`: a dry run.
        path: the device's folder in the dock.
        tracking: the record; None where the device came to the dock by other ways.
        faults: what was done to it on request; of a dry run, what would be.
        left_behind: names on the device that the format does not know, for people.
        carried_files, carried_bytes: what this command brought over itself.
        elapsed_s: how long that took, without waiting for simulated days.
    """

    outcome: Literal["docked", "already-docked", "would-ship"]
    path: str
    tracking: TrackingDocument | None
    faults: list[AnyFault] = field(default_factory=list)
    left_behind: list[str] = field(default_factory=list)
    carried_files: int = 0
    carried_bytes: int = 0
    elapsed_s: float = 0.0
