"""What copy and export say of what they did and did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transfer.cli.console import Console

if TYPE_CHECKING:
    from transfer.errors import TransferError
    from transfer.jobs.filling.result import FillResult

_SHOWN_PROBLEMS = 20


def announce(console: Console, found: FillResult) -> None:
    """Say what was found on a device and where it goes on."""
    from transfer.core.paths import display

    for name in found.deleted:
        console.note(f"deleted {name}: it was never committed")
    if found.resumed_after is not None:
        where = f"behind {display(found.resumed_after)}" if found.resumed_after else "from the start"
        console.note(f"found {found.packs_found} committed packs; run {found.run} goes on {where}")
    elif found.packs_found:
        console.note(
            f"found {found.packs_found} committed packs; run {found.run} adds what is new or changed"
        )


def document(result: FillResult, dry_run: bool) -> dict[str, Any]:
    """The result for --json."""
    from transfer.core.stream_rules import path_fields

    hidden = {"problems", "resumed_after"}
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
    """A line a device, where there are several."""
    from transfer.core.sizes import format_size

    if len(result.devices) < 2:
        return []
    return [
        f"  {one.ordinal}: {one.device}: {one.entries:,} entries, {format_size(one.bytes)}, {one.state}"
        for one in result.devices
    ]


def conclude(console: Console, result: FillResult, devices: list[str], dry_run: bool) -> int:
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
        console.warn(f"not copied as they should be: {told}{hint}")
    if result.full and not dry_run:
        raise _full(result, devices)
    return 3 if result.is_partial else 0


def _full(result: FillResult, devices: list[str]) -> TransferError:
    from transfer.core.sizes import format_size
    from transfer.errors import DeviceFullError

    names = f"device {devices[0]} is" if len(devices) == 1 else f"devices {', '.join(devices)} are"
    last = max((one.ordinal for one in result.devices), default=1)
    return DeviceFullError(
        f"{names} full: {result.left_files:,} files, {format_size(result.left_bytes)} left",
        remedy=f"prepare another device with --ordinal {last + 1}, and copy to that: it goes on there",
    )
