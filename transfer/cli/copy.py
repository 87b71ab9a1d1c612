"""`transfer copy`: bring a folder onto a device; goes on where it stopped."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transfer.cli.console import Console
from transfer.cli.filled import announce, conclude, document, needed, of_each_device
from transfer.cli.options import (
    BwlimitOption,
    CopiesOption,
    DryRunOption,
    ExcludeFromOption,
    ExcludeOption,
    FilterFromOption,
    FilterOption,
    IncludeFromOption,
    IncludeOption,
    JsonOption,
    LevelOption,
    MaxSizeOption,
    MinSizeOption,
    NoProgressOption,
    QuietOption,
    StripeOption,
    WhoOption,
    WorkersOption,
    check_who,
    default_workers,
    read_bwlimit,
    read_filter,
)
from transfer.cli.state import state_directory

if TYPE_CHECKING:
    from transfer.jobs.filling.result import FillResult


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("copy")(copy)


def copy(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The folder whose content is copied.")],
    devices: Annotated[
        list[str],
        typer.Argument(
            metavar="DEVICE...", help="Prepared devices of one job: where one is full, the next goes on."
        ),
    ],
    *,
    include: IncludeOption = None,
    include_from: IncludeFromOption = None,
    exclude: ExcludeOption = None,
    exclude_from: ExcludeFromOption = None,
    filter_: FilterOption = None,
    filter_from: FilterFromOption = None,
    min_size: MinSizeOption = None,
    max_size: MaxSizeOption = None,
    checksum: Annotated[
        bool, typer.Option("--checksum", "-c", help="Compare content, not size and time.")
    ] = False,
    copy_links: Annotated[bool, typer.Option("--copy-links", "-L", help="Follow symbolic links.")] = False,
    one_file_system: Annotated[
        bool, typer.Option("--one-file-system", "-x", help="Stay on the source's own file system.")
    ] = False,
    xattrs: Annotated[bool, typer.Option("--xattrs", help="Keep extended attributes too.")] = False,
    copies: CopiesOption = 1,
    stripe: StripeOption = False,
    bwlimit: BwlimitOption = None,
    workers: WorkersOption = None,
    level: LevelOption = None,
    who: WhoOption = "",
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    no_progress: NoProgressOption = False,
) -> int:
    """Copy a folder to a device; the same command goes on where it stopped."""
    from transfer.device.allocation import keep_large_blocks
    from transfer.device.garbage import collecting_rarely
    from transfer.jobs.workers.process import first_worker

    check_who(who)
    keep_large_blocks()
    # It loads its modules beside ours.
    with nullcontext() if dry_run else first_worker("transfer.jobs.copy.worker") as worker:
        import asyncio

        from transfer.jobs.copy.job import copy as run
        from transfer.jobs.copy.options import CopyOptions

        console = Console(json=json, quiet=quiet, progress=not no_progress)
        limit = read_bwlimit(bwlimit)
        options = CopyOptions(
            filter=read_filter(
                include=include,
                include_from=include_from,
                exclude=exclude,
                exclude_from=exclude_from,
                rules=filter_,
                rules_from=filter_from,
                min_size=min_size,
                max_size=max_size,
            ),
            workers=workers or default_workers(),
            level=level,
            checksum=checksum,
            follow_links=copy_links,
            one_file_system=one_file_system,
            xattrs=xattrs,
            dry_run=dry_run,
            count_ahead=not quiet and not no_progress and sys.stderr.isatty(),
            write_rate=(lambda: _rate(limit)) if limit is not None else None,
            state_directory=state_directory(),
            who=who,
            copies=copies,
            stripe=stripe,
        )
        with console.progress() as show, collecting_rarely():
            result = asyncio.run(
                run(source, devices, options, show, lambda found: announce(console, found), worker)
            )
        console.result(document(result, dry_run), _lines(result, dry_run, len(devices)))
        return conclude(console, result, devices, dry_run)


def _rate(limit: Any) -> int | None:
    from datetime import datetime

    rate: int | None = limit.rate_at(datetime.now(), "up")  # noqa: DTZ005 - a timetable is local time
    return rate


def _lines(result: FillResult, dry_run: bool, devices: int) -> list[str]:
    from transfer.core.sizes import format_duration, format_rate, format_size

    if dry_run:
        return [
            f"would copy {result.left_files:,} files, {format_size(result.left_bytes)} "
            f"({result.left_entries:,} entries to look at, "
            f"{result.unchanged:,} files are on the device already)",
            *needed(result, devices),
        ]
    line = f"copied {result.entries:,} entries, {result.files:,} files, {format_size(result.bytes)}"
    if result.bytes and result.elapsed_s > 0:
        ratio = f"stored in {format_size(result.stored_bytes)}"
        rate = format_rate(result.bytes / result.elapsed_s)
        line += f", {ratio}, in {format_duration(result.elapsed_s)}, {rate}"
    known = [f"{result.unchanged:,} files were on the device already"] if result.unchanged else []
    return [line, *of_each_device(result), *known]
