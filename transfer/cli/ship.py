"""`transfer ship`: bring a device to a dock as a carrier would, in a drill with what carriers do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from transfer.cli.console import Console, table
from transfer.cli.options import (
    DryRunOption,
    GuestWhoOption,
    JsonOption,
    NoProgressOption,
    QuietOption,
    check_who,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transfer.formats.tracking import TrackingDocument
    from transfer.jobs.ship.options import Shipped

_SHOWN_LEFT_BEHIND = 20


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("ship")(ship)


def ship(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="A sealed device.")],
    dock: Annotated[str, typer.Argument(metavar="DOCK", help="The folder where devices arrive.")],
    *,
    move: Annotated[
        bool, typer.Option("--move", help="Remove the original when its copy was compared and is docked.")
    ] = False,
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Take a device whose last copy did not end.")
    ] = False,
    days: Annotated[
        int | None,
        typer.Option("--days", min=0, max=3650, help="Days on the way; default: the device profile's."),
    ] = None,
    day_length: Annotated[
        float,
        typer.Option(
            "--day-length",
            metavar="SECONDS",
            min=0,
            max=86_400,
            help="How long a simulated day takes; default: no waiting.",
        ),
    ] = 0.0,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="FAULT",
            help="bitflip:N, truncate:N, lose-pack:N, swap-device or delay:DAYS. Repeatable.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, max=2**63 - 1, help="The same seed hits the same places.")
    ] = None,
    who: GuestWhoOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    no_progress: NoProgressOption = False,
) -> None:
    """Bring a sealed device to a dock; the same command goes on where it stopped."""
    from transfer.jobs.ship.job import Shipment
    from transfer.jobs.ship.options import ShipOptions

    check_who(who)
    console = Console(json=json, quiet=quiet, progress=not no_progress)
    options = ShipOptions(
        move=move,
        incomplete=incomplete,
        days=days,
        day_length_s=day_length,
        faults=tuple(fault or ()),
        seed=seed,
        who=who,
        dry_run=dry_run,
    )
    with console.progress() as show:
        shipped = Shipment(device, dock, options, observe=show, note=console.note).run()
    for name in shipped.left_behind[:_SHOWN_LEFT_BEHIND]:
        console.warn(f"left behind: {name} is no file that the format lists")
    if len(shipped.left_behind) > _SHOWN_LEFT_BEHIND:
        console.warn(f"left behind: {len(shipped.left_behind) - _SHOWN_LEFT_BEHIND:,} more")
    console.result(_document(shipped), _lines(device, shipped))


def _document(shipped: Shipped) -> dict[str, Any]:
    from transfer.core.paths import display

    return vars(shipped) | {"path": display(shipped.path.encode("utf-8", "surrogateescape"))}


def _lines(device: str, shipped: Shipped) -> Iterator[str]:
    record = shipped.tracking
    if shipped.outcome == "already-docked":
        yield f"{device} is docked already: {shipped.path}"
        if record is None:
            yield "  it came there by other ways: the dock has no record of it"
            return
    elif record is not None:
        yield f"{'would ship' if shipped.outcome == 'would-ship' else 'shipped'} {device} to {shipped.path}"
        yield from _figures(shipped, record)
    if record is not None:
        yield from _damage(shipped, record)
        yield ""
        yield from _tracking(record)


def _figures(shipped: Shipped, record: TrackingDocument) -> Iterator[str]:
    from transfer.core.sizes import format_duration, format_rate, format_size

    rate = ""
    if shipped.outcome == "docked" and record.carried_by == "copy" and shipped.elapsed_s > 0:
        speed = format_rate(shipped.carried_bytes / shipped.elapsed_s)
        rate = f", in {format_duration(shipped.elapsed_s)}, {speed}"
    size = f"{record.files:,} files, {format_size(record.size_bytes)}"
    yield f"  device {record.ordinal} of job {record.job}, {size}{rate}"
    days = f"{record.route.carrier_days} days on the way"
    yield f"  {days}{f' and {record.route.delay_days} of delay' if record.route.delay_days else ''}"
    if record.source_removed:
        yield "  the original was removed"


def _damage(shipped: Shipped, record: TrackingDocument) -> Iterator[str]:
    if shipped.faults:
        told = " ".join(record.faults)
        yield f"  on request: {told}, seed {record.seed}; {record.device_id}.faults.json lists what exactly"


def _tracking(record: TrackingDocument) -> list[str]:
    from transfer.core.tracking import SNOWBALL

    rows = [
        [
            event.state,
            f"{event.simulated:%Y-%m-%dT%H:%M:%SZ}",
            f"{event.real:%Y-%m-%dT%H:%M:%SZ}",
            SNOWBALL[event.state],
        ]
        for event in record.events
    ]
    return table(("STATE", "SIMULATED", "REAL", "IN SNOWBALL'S WORDS"), rows)
