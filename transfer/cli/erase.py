"""`transfer erase`: destroy a device's keys and remove its data, once its data is elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from transfer.cli.console import Console
from transfer.cli.options import DryRunOption, JsonOption, QuietOption, WhoOption
from transfer.cli.signing import read_signers
from transfer.cli.state import state_directory
from transfer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transfer.device.drive import Drive
    from transfer.jobs.erase import Erased


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("erase")(erase)


def erase(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="A device.")],
    *,
    certificate: Annotated[
        str | None,
        typer.Option(
            "--certificate", metavar="FILE", help="What `transfer certify` wrote of this very device."
        ),
    ] = None,
    signers: Annotated[
        str | None,
        typer.Option(
            "--signers", metavar="FILE", help="Who may have signed it: an allowed_signers file of OpenSSH."
        ),
    ] = None,
    without_certificate: Annotated[
        bool,
        typer.Option("--without-certificate", help="Erase it though nothing says where its data is."),
    ] = False,
    who: WhoOption = "",
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Destroy a device's keys and remove its data; nothing is asked. The medium itself is not reached."""
    from transfer.device.drive import drive_of, erase_commands
    from transfer.jobs.certify.papers import read_paper
    from transfer.jobs.erase import erase as run

    console = Console(json=json, quiet=quiet)
    if (certificate is None) != without_certificate or (signers is not None and certificate is None):
        what = "erase wants either --certificate FILE [--signers FILE] or --without-certificate"
        raise UsageError(what, remedy="make a certificate with `transfer certify`")
    paper = read_paper(certificate, read_signers(signers)) if certificate is not None else None
    if paper is not None and signers is None:
        console.warn(
            f"{paper.path} is signed by {paper.signed_by}: give --signers FILE to know whose key it is"
        )
    erased = run(device, paper, who=who, dry_run=dry_run, state_directory=state_directory())
    drive = drive_of(device)
    commands = erase_commands(drive)
    document = {
        "erased": erased.record.state == "done",
        "already": erased.already,
        "record": erased.record,
        "drive": drive,
        "drive_commands": commands,
    }
    console.result(document, _lines(device, erased, drive, commands, dry_run=dry_run))
    for note in erased.notes:
        console.warn(note)
    for left in erased.record.left:
        console.warn(f"left, as it is not the device's: {left}")


def _lines(device: str, erased: Erased, drive: Drive, commands: list[str], *, dry_run: bool) -> Iterator[str]:
    from transfer.core.sizes import format_size

    record = erased.record
    if erased.already:
        yield f"{device} was erased on {record.finished}"
    else:
        yield f"{'would erase' if dry_run else 'erased'} {device}"
    for part in record.parts:
        if part.files:
            yield f"  {part.part}: {part.files:,} files, {format_size(part.bytes)}: {_METHODS[part.method]}"
    if record.resume_key_destroyed:
        yield "  the resume key of this host: overwritten and removed"
    yield "what this does not achieve:"
    yield from (f"  {limit}" for limit in record.limits)
    if drive.is_system:
        yield f"it was a folder on {drive.source}, which has the system of this machine: erase no drive"
        return
    where = f"it is on {drive.source}" if drive.source else "which drive it is on is not known"
    yield f"what does the rest, where the drive can do it, to all that is on it ({where}):"
    yield from (f"  {command}" for command in commands)
    yield "  keep ERASED.json and CUSTODY.jsonl elsewhere before"


_METHODS = {"overwritten-and-removed": "overwritten in place, removed", "removed": "removed"}
