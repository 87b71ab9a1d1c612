"""`transfer info` and `transfer ls`: look at a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from transfer.cli.console import Console, table
from transfer.cli.options import JsonOption
from transfer.cli.secrets import PassphraseFileOption
from transfer.cli.state import state_directory
from transfer.cli.unlocking import IdentityOption, UnlockOption, read_keys

if TYPE_CHECKING:
    from transfer.core.records import Entry, Metadata
    from transfer.jobs.info import DeviceSummary


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("info")(info)
    app.command("ls")(ls)


def info(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="A device.")],
    identity: IdentityOption = None,
    passphrase: UnlockOption = False,
    passphrase_file: PassphraseFileOption = None,
    json: JsonOption = False,
) -> None:
    """Show what a device is: state, totals, runs, profile."""
    from transfer.jobs.info import info as run

    keys = read_keys(
        identity, unlock=passphrase, secret_file=passphrase_file, state_directory=state_directory()
    )
    summary = run(device, keys)
    Console(json=json).result(summary, _info_lines(summary) if not json else ())


def _held(summary: DeviceSummary) -> str:
    from transfer.core.sizes import format_size

    if summary.entries is None or summary.content_bytes is None:
        return "what is not known without a key"
    return f"{summary.entries:,} entries, {format_size(summary.content_bytes)}"


def _info_lines(summary: DeviceSummary) -> list[str]:
    from transfer.core.sizes import format_size

    document = summary.device
    lines = [
        f"{summary.path}: device {document.ordinal} of job {document.job}, {summary.state}",
        f"  id        {document.device_id}, prepared {document.created} with profile {document.profile}",
        f"  holds     {_held(summary)}, "
        f"stored in {summary.packs:,} packs, {format_size(summary.stored_bytes)}",
        f"  room      {format_size(summary.room_bytes)}",
    ]
    if summary.sealed is not None:
        lines[-1] = f"  sealed    {summary.sealed}"
    if summary.failed is not None and summary.skipped is not None:
        lines.append(
            f"  missed    {summary.failed:,} failed, {summary.skipped:,} skipped, in all runs together"
        )
    if summary.device.is_encrypted:
        how = "locked: --identity opens it" if summary.locked else "opened"
        lines.append(f"  encrypted {how}")
    if summary.runs:
        rows = [
            (
                str(run.run),
                run.started,
                "goes on" if run.continues else "yes" if run.complete else "NO",
                f"{run.packs:,}",
                f"{run.entries:,}",
                format_size(run.content_bytes),
                run.source,
            )
            for run in summary.runs
        ]
        headings = ("RUN", "STARTED", "ENDED", "PACKS", "ENTRIES", "CONTENT", "SOURCE")
        lines += ["", *table(headings, rows, right=(0, 3, 4, 5))]
    return lines


def ls(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="A device.")],
    path: Annotated[str, typer.Argument(metavar="PREFIX", help="Only paths that begin with this.")] = "",
    long: Annotated[
        bool,
        typer.Option("--long", "-l", help="Kind, mode and owner (of objects: storage class), size, time."),
    ] = False,
    problems: Annotated[
        bool, typer.Option("--problems", help="Only what was skipped, failed, or changed while being read.")
    ] = False,
    identity: IdentityOption = None,
    passphrase: UnlockOption = False,
    passphrase_file: PassphraseFileOption = None,
    json: JsonOption = False,
) -> None:
    """List the entries of a device, merged over its runs, in path order."""
    import os

    from transfer.jobs.listing import entries

    console = Console(json=json)
    keys = read_keys(
        identity, unlock=passphrase, secret_file=passphrase_file, state_directory=state_directory()
    )
    for entry_path, record in entries(device, prefix=os.fsencode(path), problems_only=problems, keys=keys):
        if json:
            console.record(record)
        else:
            console.line(_line(entry_path, record, long=long or problems))


def _line(path: bytes, record: Entry, *, long: bool) -> str:
    from transfer.core.paths import display
    from transfer.core.records import DeleteMarker, Failed, Hardlink, Metadata, Skipped, Symlink
    from transfer.core.versions import version_of

    name = display(path)
    if isinstance(record, Symlink | Hardlink) and long:
        name += f" -> {display(record.target_bytes)}"
    if (version := version_of(record)) is not None:
        told = "delete marker" if isinstance(record, DeleteMarker) else "version"
        name += f"  [{told} {version}]"
    if isinstance(record, Failed | Skipped):
        kind = "failed" if isinstance(record, Failed) else "skipped"
        return f"{name}  [{kind}: {record.reason}]"
    if not long:
        return name
    if isinstance(record, DeleteMarker):
        return _row("", "", "", record.last_modified[:19].replace("T", " "), name)
    return _long(name, record) if isinstance(record, Metadata) else name


def _long(name: str, record: Metadata) -> str:
    from datetime import UTC, datetime

    from transfer.core.records import File

    seconds = record.mtime_ns // 1_000_000_000
    try:
        time = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError):  # before year 1 or beyond 9999
        time = f"@{seconds}"
    size = f"{getattr(record, 'size_bytes', 0):,}"
    if getattr(record, "changed", False):
        name += "  [changed while being read]"
    if isinstance(record, File) and record.object is not None:
        return _row("object", record.object.storage_class, size, time, name)
    owner = f"{record.mode:04o}  {record.user or record.uid}:{record.group or record.gid}"
    return _row(type(record).__name__.lower(), owner, size, time, name)


def _row(kind: str, owner: str, size: str, time: str, name: str) -> str:
    return f"{kind:9}  {owner:23}  {size:>15}  {time:19}  {name}"
