"""`transfer seal`: close a device."""

from __future__ import annotations

from typing import Annotated

import typer

from transfer.cli.console import Console
from transfer.cli.options import DryRunOption, JsonOption, QuietOption


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("seal")(seal)


def seal(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="A prepared device.")],
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Seal although the last copy did not end.")
    ] = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Close a device with the list of everything on it; it takes no more data."""
    from transfer.core.sizes import format_size
    from transfer.jobs.seal import seal as run

    console = Console(json=json, quiet=quiet)
    sealed = run(device, allow_incomplete=incomplete, dry_run=dry_run)
    document, totals = sealed.document, sealed.document.totals
    lines = [
        f"{'would seal' if dry_run else 'sealed'} {device}: {len(document.packs):,} packs, "
        f"{totals.entries:,} entries, {format_size(totals.content_bytes)} in "
        f"{format_size(totals.stored_bytes)}",
        f"  SEAL.json has BLAKE3 {sealed.blake3}",
    ]
    if totals.failed or totals.skipped:
        lines.append(
            f"  not on it: {totals.failed:,} failed, {totals.skipped:,} skipped (transfer ls --problems)"
        )
    summary = {
        "sealed": not dry_run,
        "seal_blake3": sealed.blake3,
        "device_id": document.device_id,
        "job": document.job,
        "complete": document.complete,
        "packs": len(document.packs),
        "totals": totals,
    }
    console.result(summary, lines)
