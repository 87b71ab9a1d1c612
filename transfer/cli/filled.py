"""What copy and export say of what they did and did not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from transfer.cli.console import Console

if TYPE_CHECKING:
    from transfer.errors import TransferError
    from transfer.jobs.filling.result import FillResult

_SHOWN_PROBLEMS = 20


@dataclass(frozen=True)
class Words:
    """What a job does, has done, and with what, for people."""

    verb: str
    done: str
    things: str


COPY = Words("copy", "copied", "files")
EXPORT = Words("export", "exported", "objects")


def announce(console: Console, found: FillResult) -> None:
    """Say what was found on a device and where it goes on."""
    from transfer.core.paths import display

    for name in found.deleted:
        console.note(f"{found.device}: deleted {name}: it was never committed")
    packs = f"{found.device}: found {found.packs_found} committed packs"
    if found.resumed_after is not None:
        where = f"behind {display(found.resumed_after)}" if found.resumed_after else "from the start"
        console.note(f"{packs}; run {found.run} goes on {where}")
    elif found.packs_found:
        console.note(f"{packs}; what is new or changed becomes run {found.run}")


def document(result: FillResult, dry_run: bool) -> dict[str, Any]:
    """The result for --json."""
    from transfer.core.stream_rules import path_fields

    hidden = {"problems", "resumed_after", "device"}
    told: dict[str, Any] = {"dry_run": dry_run}
    told |= {name: value for name, value in vars(result).items() if name not in hidden}
    if result.resumed_after is not None:
        told["resumed_after"] = path_fields(result.resumed_after)
    told["problems"] = [
        path_fields(problem.path) | {"kind": problem.kind, "reason": problem.reason, "detail": problem.detail}
        for problem in result.problems
    ]
    return told


def needed(result: FillResult, devices: int) -> list[str]:
    """What a dry run says of the room."""
    if result.full:
        where = "the device" if devices == 1 else f"these {devices} devices"
        return [f"the room on {where} may not be enough"]
    return [f"it needs {result.needed} of the {devices} devices, or fewer"] if devices > 1 else []


def of_each_device(result: FillResult) -> list[str]:
    """A line a device, where there are several; twins have one together."""
    from transfer.core.sizes import format_size

    several = len(result.devices) > 1 or any(one.twins > 1 for one in result.devices)
    told = [
        f"  {one.ordinal}: {one.device}: {one.entries:,} entries, {format_size(one.bytes)}"
        f"{', the same on each' if one.twins > 1 else ''}, {one.state}"
        for one in result.devices
    ]
    unused = [f"  {name} was not needed: it is empty, and need not be sealed" for name in result.unused]
    return [*(told if several or unused else []), *unused]


def conclude(
    console: Console, result: FillResult, devices: list[str], dry_run: bool, words: Words = COPY
) -> int:
    """Say what was not done, and give the exit code for it."""
    from transfer.core.paths import display

    for problem in result.problems[:_SHOWN_PROBLEMS]:
        detail = f": {problem.detail}" if problem.detail else ""
        console.warn(f"{problem.kind}: {display(problem.path)} ({problem.reason}{detail})")
    if result.not_remembered:
        console.warn(result.not_remembered)
    counts = [
        (result.failed, "failed"),
        (result.changed, "changed while being read"),
        (result.skipped, "skipped"),
    ]
    told = ", ".join(f"{count:,} {what}" for count, what in counts if count)
    if told:
        hint = "" if dry_run else f"; `transfer ls --problems {devices[0]}` lists them all"
        console.warn(f"not {words.done} as they should be: {told}{hint}")
    if result.full and not dry_run:
        raise _full(result, devices, words)
    return 3 if result.is_partial else 0


def _full(result: FillResult, devices: list[str], words: Words) -> TransferError:
    from transfer.core.sizes import format_size
    from transfer.errors import DeviceFullError

    names = f"device {devices[0]} is" if len(devices) == 1 else f"devices {', '.join(devices)} are"
    last = max((one.ordinal for one in result.devices), default=1)
    return DeviceFullError(
        f"{names} full: {result.left_files:,} {words.things}, {format_size(result.left_bytes)} left",
        remedy=f"prepare another device with --ordinal {last + 1}, and {words.verb} to that: "
        "it goes on there",
    )
