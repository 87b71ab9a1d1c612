"""`transfer prepare`: make an empty folder or disk into a device."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from transfer.cli.console import Console
from transfer.cli.options import (
    DryRunOption,
    JsonOption,
    ProfileOption,
    QuietOption,
    WhoOption,
    check_who,
)
from transfer.cli.state import state_directory
from transfer.errors import UsageError

if TYPE_CHECKING:
    from transfer.core.unlock_code import UnlockCode
    from transfer.device.recipients import DestinationKey
    from transfer.jobs.prepare import Prepared

_ENCRYPTED = (
    "  encrypted: copy and seal on this host; when it is sealed, this host cannot read it any more",
)
_CODE = (
    "  the unlock code; it is shown this once and is stored nowhere. Write it down, and send it to the",
    "  destination by another way than the device:",
)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("prepare")(prepare)


def prepare(
    devices: Annotated[
        list[str],
        typer.Argument(metavar="DEVICE...", help="Empty folders, or where empty disks are mounted."),
    ],
    *,
    profile: ProfileOption,
    job: Annotated[str, typer.Option("--job", metavar="NAME", help="What the shipment is called.")],
    ordinal: Annotated[
        int, typer.Option("--ordinal", min=1, max=9999, help="Which device of the job the first is.")
    ] = 1,
    copies: Annotated[
        int, typer.Option("--copies", min=1, max=8, metavar="N", help="N devices with one ordinal each.")
    ] = 1,
    capacity: Annotated[
        str | None,
        typer.Option("--capacity", metavar="SIZE", help="What may be stored, if not the profile's capacity."),
    ] = None,
    recipient: Annotated[
        list[str] | None,
        typer.Option(
            "--recipient",
            "-r",
            metavar="KEY|FILE",
            help="Encrypt for this age or SSH public key, or those in a file; may be repeated.",
        ),
    ] = None,
    passphrase: Annotated[
        bool,
        typer.Option(
            "--passphrase", help="Encrypt for an unlock code, which is shown once and stored nowhere."
        ),
    ] = False,
    who: WhoOption = "",
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make empty folders or disks into devices of a job, numbered in their order."""
    from transfer.core.sizes import parse_size
    from transfer.device.profiles import load_profile
    from transfer.jobs.prepare import prepare as run

    console = Console(json=json, quiet=quiet)
    check_who(who)
    capacity_bytes = parse_size(capacity, what="--capacity") if capacity is not None else None
    code = _new_code(recipient) if passphrase else None
    locked_for = code or _recipients(recipient)
    _check_places(devices, copies)

    def make(number: int, *, dry_run: bool) -> Prepared:
        return run(
            devices[number],
            load_profile(profile),
            job,
            ordinal=ordinal + number // copies,
            capacity_bytes=capacity_bytes,
            locked_for=locked_for,
            state_directory=state_directory(),
            who=who,
            dry_run=dry_run,
        )

    if len(devices) > 1 and not dry_run:  # one that cannot be prepared is better found before the first is
        for number in range(len(devices)):
            make(number, dry_run=True)
    every = [make(number, dry_run=dry_run) for number in range(len(devices))]
    lines = [line for made in every for line in _lines(made, dry_run)]
    summary: dict[str, object] = {"prepared": not dry_run, **_summary(every[0])}
    if len(every) > 1:
        summary = {"prepared": not dry_run, "devices": [_summary(made) for made in every]}
    if locked_for:
        lines += _ENCRYPTED
    if code is not None and not dry_run:
        summary["unlock_code"] = code.text
        lines += [*_CODE, "", f"    {code.text}", ""]
    console.result(summary, lines)


def _check_places(devices: list[str], copies: int) -> None:
    if len({os.path.realpath(device) for device in devices}) < len(devices):
        raise UsageError("a device is named twice", remedy="name each place once")
    if len(devices) % copies:
        what = f"{len(devices)} devices cannot be put together as {copies} copies each"
        raise UsageError(what, remedy="name as many devices as --copies says, or a multiple of it")


def _summary(made: Prepared) -> dict[str, object]:
    return {
        "device": made.device.document,
        "free_bytes": made.free_bytes,
        "usable_bytes": made.usable_bytes,
    }


def _lines(made: Prepared, dry_run: bool) -> list[str]:
    from transfer.core.sizes import format_size

    document = made.device.document
    return [
        f"{'would prepare' if dry_run else 'prepared'} {made.device.root} as device {document.ordinal} "
        f"of job {document.job}",
        f"  id {document.device_id}, profile {document.profile}, room for {format_size(made.usable_bytes)}",
    ]


def _new_code(recipients: list[str] | None) -> UnlockCode:
    if recipients:
        raise UsageError(
            "--passphrase and --recipient do not go together: an age file has one or the other",
            remedy="give one of them",
        )
    from transfer.device.job_key import new_unlock_code

    return new_unlock_code()


def _recipients(told: list[str] | None) -> Sequence[DestinationKey]:
    if not told:
        return ()
    from transfer.device.recipients import read_recipients

    return read_recipients(told)
