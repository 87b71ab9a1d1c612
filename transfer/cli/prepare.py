"""`transfer prepare`: make an empty folder or disk into a device."""

from __future__ import annotations

from typing import Annotated

import typer

from transfer.cli.console import Console
from transfer.cli.options import DryRunOption, JsonOption, ProfileOption, QuietOption


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("prepare")(prepare)


def prepare(
    device: Annotated[
        str, typer.Argument(metavar="DEVICE", help="An empty folder, or where an empty disk is mounted.")
    ],
    *,
    profile: ProfileOption,
    job: Annotated[str, typer.Option("--job", metavar="NAME", help="What the shipment is called.")],
    ordinal: Annotated[
        int, typer.Option("--ordinal", min=1, max=9999, help="Which device of the job this is.")
    ] = 1,
    capacity: Annotated[
        str | None,
        typer.Option("--capacity", metavar="SIZE", help="What may be stored, if not the profile's capacity."),
    ] = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make an empty folder or disk into a device of a job."""
    from transfer.core.sizes import format_size, parse_size
    from transfer.device.profiles import load_profile
    from transfer.jobs.prepare import prepare as run

    console = Console(json=json, quiet=quiet)
    capacity_bytes = parse_size(capacity, what="--capacity") if capacity is not None else None
    made = run(
        device, load_profile(profile), job, ordinal=ordinal, capacity_bytes=capacity_bytes, dry_run=dry_run
    )
    document = made.device.document
    verb = "would prepare" if dry_run else "prepared"
    room = format_size(made.usable_bytes)
    console.result(
        {
            "prepared": not dry_run,
            "device": document,
            "free_bytes": made.free_bytes,
            "usable_bytes": made.usable_bytes,
        },
        [
            f"{verb} {device} as device {document.ordinal} of job {document.job}",
            f"  id {document.device_id}, profile {document.profile}, room for {room}",
        ],
    )
