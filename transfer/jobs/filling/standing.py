"""Where each device of a set stands: which part of a source it has, and whether others go on behind it.

A device's own headers say where it ended (FORMAT.md §11, `continues`); where it began, the device before it
says, or what this host remembers of the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transfer.core.records import Header
from transfer.jobs.filling.memory import JobMemory
from transfer.jobs.filling.targets import Target

State = Literal["fresh", "open", "full", "complete"]


@dataclass
class Standing:
    """What a device has of a source.

    Attributes:
        after: its part begins behind this path.
        until: the last path of its part, where others go on behind it.
        goes_on_after: where its open run began, which may be behind a part that was ended before.
        target: the device, where it is at hand.
    """

    ordinal: int
    state: State
    after: bytes = b""
    until: bytes | None = None
    goes_on_after: bytes = b""
    target: Target | None = None


def standings_of(targets: Sequence[Target], memory: JobMemory, source: str) -> list[Standing]:
    """Where each of the devices stands."""
    found: list[Standing] = []
    end: bytes | None = None
    for target in targets:
        standing = _standing(target, memory, source, end)
        end = standing.until if standing.state == "full" else end
        found.append(standing)
    return found


def _standing(target: Target, memory: JobMemory, source: str, end: bytes | None) -> Standing:
    member = memory.find(target.device.document.device_id, source)
    begin = member.after.path_bytes if member is not None else end or b""
    standing = Standing(target.ordinal, "fresh", begin, None, begin, target)
    if member is not None and member.is_stripe and member.until is not None:
        standing.until = member.until.path_bytes
    if target.point is None:  # sealed, and encrypted: it says nothing here
        if member is not None:
            standing.state = member.state
            standing.until = member.until.path_bytes if member.until is not None else None
        return standing
    mine = [header for header in target.point.manifest.headers if header.source == source]
    if mine:
        _read_runs(mine, standing)
    return standing


def _read_runs(mine: list[Header], standing: Standing) -> None:
    last = mine[-1]
    ended = {header.run for header in mine if header.run_complete and header.continues}
    paths = [header.paths for header in mine if header.paths and header.run in ended]
    bound = max((path for _, path in paths), default=standing.after) if ended else None
    if last.run_complete:
        standing.state = "full" if last.continues else "complete"
        standing.until = max(bound or b"", standing.until or b"") if last.continues else None
        return
    standing.state = "open"
    first = next((header.paths[0] for header in mine if header.run == last.run and header.paths), b"")
    if bound is not None and first > bound:
        standing.goes_on_after = bound
    else:
        standing.until = bound
