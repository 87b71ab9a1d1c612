"""`transfer plan`: what a source takes of devices and time, and what its destination would refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from transfer.cli.console import Console
from transfer.cli.interruptible import interruptible
from transfer.cli.options import (
    AwsProfileOption,
    CopiesOption,
    EndpointUrlOption,
    ExcludeFromOption,
    ExcludeOption,
    FilterFromOption,
    FilterOption,
    IncludeFromOption,
    IncludeOption,
    JsonOption,
    MaxSizeOption,
    MinSizeOption,
    NoProgressOption,
    NoSignRequestOption,
    ProfileOption,
    QuietOption,
    RegionOption,
    read_filter,
    read_symlinks,
)
from transfer.device.garbage import collecting_rarely
from transfer.errors import UsageError

if TYPE_CHECKING:
    from transfer.jobs.plan.options import PlanOptions
    from transfer.jobs.plan.outcome import Planned

_MOST_DAYS = 3650


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("plan")(plan)


@collecting_rarely()
def plan(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="What is to be copied: a folder, or s3://BUCKET/PREFIX.")
    ],
    profile: ProfileOption,
    *,
    uplink: Annotated[
        str | None,
        typer.Option("--uplink", metavar="RATE", help="The line to compare with: 100Mbit, 2.5Gbit, 12MB/s."),
    ] = None,
    bucket: Annotated[
        str | None,
        typer.Option("--bucket", metavar="s3://BUCKET/PREFIX", help="Where it is to be imported."),
    ] = None,
    capacity: Annotated[
        str | None, typer.Option("--capacity", metavar="SIZE", help="Of a device, if not the profile's.")
    ] = None,
    copies: CopiesOption = 1,
    source_rate: Annotated[
        str | None,
        typer.Option(
            "--source-rate",
            metavar="RATE",
            help="How fast the source can be read; default: the device is the slower one.",
        ),
    ] = None,
    file_cost_ms: Annotated[
        float | None,
        typer.Option(
            "--file-cost-ms",
            min=0.0,
            max=60_000.0,
            help="What a file costs beside its bytes; default: 0.1, of an object 1.",
        ),
    ] = None,
    utilization: Annotated[
        float,
        typer.Option("--utilization", min=1.0, max=100.0, help="Per cent of the uplink that are counted on."),
    ] = 80.0,
    carrier_days: Annotated[
        float | None,
        typer.Option(
            "--carrier-days", min=0.0, max=_MOST_DAYS, help="Days on the way; default: the profile's."
        ),
    ] = None,
    symlinks: Annotated[
        str, typer.Option("--symlinks", metavar="report|skip|rclone", help="As in the import.")
    ] = "report",
    sample: Annotated[
        bool,
        typer.Option(
            "--sample",
            help="Read up to 64 MiB, spread over a folder, to estimate how far it can be compressed.",
        ),
    ] = False,
    refused_list: Annotated[
        str | None,
        typer.Option("--refused-list", metavar="FILE", help="List all that is refused, as JSON Lines."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="That list may replace a file.")] = False,
    begin: Annotated[
        str, typer.Option("--begin", metavar="KEY", help="Of a bucket: the first key that is taken.")
    ] = "",
    end: Annotated[
        str, typer.Option("--end", metavar="KEY", help="Of a bucket: the last key that is taken.")
    ] = "",
    versions: Annotated[
        str, typer.Option("--versions", metavar="current|all", help="Of a bucket: which versions are taken.")
    ] = "current",
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="TIME", help="Of a bucket: what was current then."),
    ] = None,
    keys: Annotated[
        str | None, typer.Option("--keys", metavar="FILE", help="Of a bucket: these keys, one a line.")
    ] = None,
    inventory: Annotated[
        str | None,
        typer.Option(
            "--inventory",
            metavar="FILE|s3://...",
            help="Of a bucket: what an S3 Inventory report lists, so that the bucket is not.",
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
    copy_links: Annotated[bool, typer.Option("--copy-links", "-L", help="Follow symbolic links.")] = False,
    one_file_system: Annotated[
        bool, typer.Option("--one-file-system", "-x", help="Stay on the source's own file system.")
    ] = False,
    endpoint_url: EndpointUrlOption = None,
    aws_profile: AwsProfileOption = None,
    region: RegionOption = None,
    no_sign_request: NoSignRequestOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    no_progress: NoProgressOption = False,
) -> int:
    """Say how many devices and days a source takes, and what its destination would refuse.

    Nothing is copied. Exit code 3 where an entry would not arrive.
    """
    from transfer.core.line_rate import parse_line_rate
    from transfer.core.object_keys import folder_prefix
    from transfer.core.s3_uri import is_s3_uri, parse_s3_uri
    from transfer.core.sizes import parse_rate, parse_size
    from transfer.device.profiles import load_profile
    from transfer.jobs.plan.options import PlanOptions

    console = Console(json=json, quiet=quiet, progress=not no_progress)
    options = PlanOptions(
        profile=load_profile(profile),
        capacity_bytes=None if capacity is None else parse_size(capacity, what="--capacity"),
        copies=copies,
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
        follow_links=copy_links,
        one_file_system=one_file_system,
        prefix="" if bucket is None else folder_prefix(parse_s3_uri(bucket).prefix),
        symlinks=read_symlinks(symlinks),
        source_bytes_s=None if source_rate is None else parse_rate(source_rate, what="--source-rate"),
        file_cost_s=None if file_cost_ms is None else file_cost_ms / 1000,
        uplink_bits_s=None if uplink is None else parse_line_rate(uplink, what="--uplink"),
        utilization=utilization / 100,
        carrier_days=carrier_days,
        samples=sample,
        list_path=refused_list,
        overwrite=overwrite,
    )
    of_bucket = (begin, end, keys, inventory, as_of, versions != "current")
    if is_s3_uri(source):
        if sample:
            raise UsageError("--sample reads files, and a bucket is only listed", remedy="leave it out")
        from transfer.cli.export import check_selection, read_moment
        from transfer.core.object_selection import Selection
        from transfer.jobs.export.options import ExportOptions
        from transfer.jobs.export.work import BucketAddress
        from transfer.jobs.plan.job import plan_bucket

        check_selection(keys, inventory, versions, as_of, begin, end)
        address = parse_s3_uri(source)
        chosen = ExportOptions(
            address=BucketAddress(address.bucket, endpoint_url, aws_profile, region, no_sign_request),
            selection=Selection(folder_prefix(address.prefix), begin, end, options.filter),
            history=versions == "all",
            as_of=read_moment(as_of),
            keys=keys,
            inventory=inventory,
        )
        found = interruptible(console, lambda show: plan_bucket(source, chosen, options, show))
    else:
        from transfer.jobs.plan.job import plan_folder

        if any(of_bucket):
            what = "--begin, --end, --keys, --inventory, --versions and --as-of are of a bucket"
            raise UsageError(what, remedy="choose the files of a folder by --include and --exclude")
        found = interruptible(console, lambda show: plan_folder(source, options, show))
    return _conclude(console, found, options, refused_list)


def _conclude(console: Console, found: Planned, options: PlanOptions, refused_list: str | None) -> int:
    from transfer.cli.plan_view import lines, warnings

    console.result(found, () if console.json else lines(found, options))
    for warning in warnings(found, refused_list):
        console.warn(warning)
    return found.exit_code
