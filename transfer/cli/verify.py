"""`transfer verify`: is what is on the device what was put there?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from transfer.cli.console import Console
from transfer.cli.options import JsonOption, NoProgressOption, QuietOption, WorkersOption, default_workers
from transfer.device.garbage import collecting_rarely

if TYPE_CHECKING:
    from transfer.jobs.verify.job import Verification


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("verify")(verify)


@collecting_rarely()  # from the start: to load modules makes much that stays
def verify(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="A device, sealed or not.")],
    deep: Annotated[
        bool, typer.Option("--deep", help="Open every frame, check every chunk, file, size and count.")
    ] = False,
    workers: WorkersOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    no_progress: NoProgressOption = False,
) -> int:
    """Read every stored byte and compare; exit code 4 when anything is wrong."""
    from transfer.jobs.verify.job import verify as run

    console = Console(json=json, quiet=quiet, progress=not no_progress)
    with console.progress() as show:
        result = run(
            device,
            deep=deep,
            observe=show,
            on_finding=lambda finding: None if json else console.line(str(finding)),
            workers=workers or default_workers(),
        )
    console.result({"valid": result.is_valid, **vars(result)}, _lines(device, result))
    return 0 if result.is_valid else 4


def _lines(device: str, result: Verification) -> list[str]:
    from transfer.core.sizes import format_size

    against = "its seal" if result.is_sealed else "its segments (it is not sealed)"
    how = "every frame opened" if result.is_deep else "stored bytes"
    read = f"{result.packs:,} packs, {format_size(result.bytes)} read, {how}, against {against}"
    if result.is_valid:
        return [f"{device} is valid: {read}"]
    return [f"{device} is NOT valid: {result.count:,} findings; {read}"]
