"""`transfer export`: bring objects of a bucket onto devices; goes on where it stopped."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from transfer.cli.console import Console
from transfer.cli.filled import EXPORT, announce, conclude, document, needed, of_each_device
from transfer.cli.interruptible import interruptible
from transfer.cli.options import (
    AwsProfileOption,
    BwlimitOption,
    CopiesOption,
    DryRunOption,
    EndpointUrlOption,
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
    NoSignRequestOption,
    QuietOption,
    RegionOption,
    StripeOption,
    WhoOption,
    WorkersOption,
    check_who,
    default_workers,
    read_bwlimit,
    read_filter,
)
from transfer.cli.state import state_directory
from transfer.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from transfer.jobs.export.options import Tags
    from transfer.jobs.export.work import Restoring
    from transfer.jobs.filling.result import FillResult

_TIERS = {"standard": "Standard", "bulk": "Bulk", "expedited": "Expedited"}
_MAX_RESTORE_DAYS = 30_000


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("export")(export)


def export(
    bucket: Annotated[str, typer.Argument(metavar="s3://BUCKET/PREFIX", help="What is brought out.")],
    devices: Annotated[list[str], typer.Argument(metavar="DEVICE...", help="Prepared devices of one job.")],
    *,
    endpoint_url: EndpointUrlOption = None,
    aws_profile: AwsProfileOption = None,
    region: RegionOption = None,
    no_sign_request: NoSignRequestOption = False,
    begin: Annotated[
        str, typer.Option("--begin", metavar="KEY", help="The first key that is taken, with its prefix.")
    ] = "",
    end: Annotated[
        str, typer.Option("--end", metavar="KEY", help="The last key that is taken, with its prefix.")
    ] = "",
    keys: Annotated[
        str | None,
        typer.Option("--keys", metavar="FILE", help="Take these keys: one a line, as they are or as JSON."),
    ] = None,
    inventory: Annotated[
        str | None,
        typer.Option(
            "--inventory",
            metavar="FILE|s3://...",
            help="Take what an S3 Inventory report lists: its manifest.json, or a .csv or .csv.gz of it.",
        ),
    ] = None,
    versions: Annotated[
        str,
        typer.Option("--versions", metavar="all|current", help="All versions and delete markers, or not."),
    ] = "current",
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="TIME", help="What was current then, such as 2026-05-01T12:00:00Z."),
    ] = None,
    tags: Annotated[
        str,
        typer.Option(
            "--tags", metavar="auto|always|never", help="Ask for tags where the store says there are some."
        ),
    ] = "auto",
    restore_archived: Annotated[
        str | None,
        typer.Option(
            "--restore-archived",
            metavar="DAYS[:TIER]",
            help="Have archived objects restored for so many days; TIER: standard, bulk, expedited.",
        ),
    ] = None,
    include: IncludeOption = None,
    include_from: IncludeFromOption = None,
    exclude: ExcludeOption = None,
    exclude_from: ExcludeFromOption = None,
    filter_: FilterOption = None,
    filter_from: FilterFromOption = None,
    min_size: MinSizeOption = None,
    max_size: MaxSizeOption = None,
    copies: CopiesOption = 1,
    stripe: StripeOption = False,
    bwlimit: BwlimitOption = None,
    workers: WorkersOption = None,
    connections: Annotated[
        int, typer.Option("--connections", min=1, max=1024, help="Requests under way at once.")
    ] = 64,
    level: LevelOption = None,
    who: WhoOption = "",
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    no_progress: NoProgressOption = False,
) -> int:
    """Bring objects of a bucket onto devices; the same command goes on where it stopped."""
    from transfer.core.object_keys import folder_prefix
    from transfer.core.object_selection import Selection
    from transfer.core.s3_uri import parse_s3_uri
    from transfer.device.allocation import keep_large_blocks
    from transfer.device.garbage import collecting_rarely
    from transfer.jobs.workers.process import first_worker

    check_who(who)
    address = parse_s3_uri(bucket)
    prefix = folder_prefix(address.prefix)
    check_selection(keys, inventory, versions, as_of, begin, end, prefix)
    read_bwlimit(bwlimit)
    keep_large_blocks()
    with nullcontext() if dry_run else first_worker("transfer.jobs.export.worker") as worker:
        from transfer.jobs.export.job import export as run
        from transfer.jobs.export.options import ExportOptions
        from transfer.jobs.export.work import BucketAddress

        console = Console(json=json, quiet=quiet, progress=not no_progress)
        options = ExportOptions(
            address=BucketAddress(address.bucket, endpoint_url, aws_profile, region, no_sign_request),
            selection=Selection(
                prefix=prefix,
                begin=begin,
                end=end,
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
            ),
            history=versions == "all",
            as_of=read_moment(as_of),
            keys=keys,
            inventory=inventory,
            tags=_read_tags(tags),
            restoring=_read_restoring(restore_archived),
            bwlimit=bwlimit,
            connections=connections,
            workers=workers or default_workers(),
            level=level,
            dry_run=dry_run,
            count_ahead=not quiet and not no_progress and sys.stderr.isatty(),
            state_directory=state_directory(),
            who=who,
            copies=copies,
            stripe=stripe,
        )
        with collecting_rarely():
            result = interruptible(
                console,
                lambda show: run(devices, options, show, lambda found: announce(console, found), worker),
            )
        lines = _lines(result, dry_run, "versions" if options.history else "objects", len(devices))
        if not result.entries_seen and result.resumed_after is None:
            console.warn(f"there is nothing to take: s3://{address.bucket}/{prefix} has no such objects")
        console.result(document(result, dry_run), lines)
        return conclude(console, result, devices, dry_run, EXPORT)


def check_selection(
    keys: str | None,
    inventory: str | None,
    versions: str,
    as_of: str | None,
    begin: str,
    end: str,
    prefix: str = "",
) -> None:
    """Raise UsageError for what cannot be meant."""
    if keys is not None and inventory is not None:
        raise UsageError("--keys and --inventory exclude each other", remedy="give one of them")
    if versions not in {"all", "current"}:
        raise UsageError(f"--versions {versions!r} is not possible", remedy="say all or current")
    if versions == "all" and as_of is not None:
        raise UsageError("--versions all and --as-of exclude each other", remedy="give one of them")
    for option, key in (("--begin", begin), ("--end", end)):
        if len(key.encode("utf-8", "surrogateescape")) > 1024 or not _is_text(key):
            raise UsageError(f"{option} is no key", remedy="a key is up to 1,024 bytes of UTF-8")
        if key and not key.startswith(prefix):
            raise UsageError(
                f"{option} {key!r} is not under {prefix!r}",
                remedy=f"give the whole key, with its prefix: {prefix + key!r}",
            )
    if end and begin.encode() > end.encode():
        raise UsageError("--begin sorts behind --end: no key can be between", remedy="exchange them")


def _is_text(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_moment(text: str | None) -> datetime | None:
    """The value of --as-of.

    Raises:
        UsageError: it is no time.
    """
    from datetime import UTC, datetime

    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        remedy = "write it as 2026-05-01 or 2026-05-01T12:00:00Z; without a zone it is UTC"
        raise UsageError(f"--as-of {text!r} is no time", remedy=remedy) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment > datetime.now(UTC):
        raise UsageError(
            f"--as-of {text} is in the future: nobody knows what will be current then",
            remedy="leave it out for what is current now",
        )
    return moment


def _read_tags(text: str) -> Tags:
    from transfer.jobs.export.options import Tags

    try:
        return Tags(text)
    except ValueError:
        what = f"--tags {text!r} is not possible"
        raise UsageError(what, remedy="say auto, always or never") from None


def _read_restoring(text: str | None) -> Restoring | None:
    from transfer.jobs.export.work import Restoring

    if text is None:
        return None
    days, _, tier = text.partition(":")
    named = _TIERS.get((tier or "standard").lower())
    if not (days.isascii() and days.isdigit() and 1 <= int(days[:6]) <= _MAX_RESTORE_DAYS) or named is None:
        raise UsageError(
            f"--restore-archived {text!r} is not possible",
            remedy="write days and, if you like, the tier: 7, 7:bulk, 7:standard, 1:expedited",
        )
    return Restoring(int(days), named)


def _lines(result: FillResult, dry_run: bool, what: str, devices: int) -> list[str]:
    from transfer.core.sizes import format_duration, format_rate, format_size

    if dry_run:
        return [
            f"would export {result.left_files:,} {what}, {format_size(result.left_bytes)} "
            f"({result.unchanged:,} {what} are on the device already)",
            *needed(result, devices),
        ]
    line = f"exported {result.files:,} {what}, {format_size(result.bytes)}"
    if result.bytes and result.elapsed_s > 0:
        ratio = f"stored in {format_size(result.stored_bytes)}"
        rate = format_rate(result.bytes / result.elapsed_s)
        line += f", {ratio}, in {format_duration(result.elapsed_s)}, {rate}"
    known = [f"{result.unchanged:,} {what} were on the device already"] if result.unchanged else []
    return [line, *of_each_device(result), *known]
