"""`transfer check`: is what devices hold the same as what a bucket or a folder holds?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from transfer.cli.check_view import conclude
from transfer.cli.console import Console
from transfer.cli.interruptible import interruptible
from transfer.cli.options import (
    AwsProfileOption,
    BwlimitOption,
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
    QuietOption,
    RegionOption,
    WorkersOption,
    default_workers,
    rate_now,
    read_bwlimit,
    read_filter,
    read_symlinks,
)
from transfer.cli.secrets import PassphraseFileOption
from transfer.cli.signing import SignersOption, read_signers
from transfer.cli.state import state_directory
from transfer.cli.unlocking import IdentityOption, UnlockOption, read_keys
from transfer.device.garbage import collecting_rarely
from transfer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from transfer.core.progress import Progress
    from transfer.jobs.check.lists import ListPaths
    from transfer.jobs.check.options import CheckOptions
    from transfer.jobs.check.results import Checked

_USAGE = "say transfer check DEVICE... s3://BUCKET/PREFIX, or transfer check DEVICE... FOLDER"


def _list_option(name: str, what: str) -> Any:
    return typer.Option(name, metavar="FILE", help=what)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("check")(check)


@collecting_rarely()  # from the start: to load modules makes much that stays
def check(
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="DEVICE... s3://BUCKET/PREFIX|FOLDER",
            help="Devices of one job, sealed or not, and what they are compared with.",
        ),
    ],
    *,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Read no content: compare size and time of files, size (or ETag) of objects."
        ),
    ] = False,
    download: Annotated[
        bool,
        typer.Option("--download", help="Read the objects of which the store has no checksum, and compare."),
    ] = False,
    download_all: Annotated[
        bool, typer.Option("--download-all", help="Read every object, whatever the store tells of it.")
    ] = False,
    one_way: Annotated[
        bool, typer.Option("--one-way", help="What the devices do not hold is of no interest.")
    ] = False,
    objects: Annotated[
        bool,
        typer.Option("--objects", help="The import was one with --objects: keys are those of the list."),
    ] = False,
    symlinks: Annotated[
        str | None,
        typer.Option(
            "--symlinks",
            metavar="report|skip|rclone",
            help="What the import made of them; default: report. For buckets.",
        ),
    ] = None,
    escaped_names: Annotated[
        bool,
        typer.Option(
            "--escaped-names",
            help="Names in FOLDER are escaped, as a restore to FAT, exFAT, NTFS or macOS makes them.",
        ),
    ] = False,
    follow_links: Annotated[
        bool, typer.Option("--copy-links", "-L", help="Follow symbolic links in FOLDER, as the copy did.")
    ] = False,
    one_file_system: Annotated[
        bool, typer.Option("--one-file-system", "-x", help="Stay on FOLDER's file system, as the copy did.")
    ] = False,
    combined: Annotated[
        str | None,
        _list_option("--combined", "Every path: = same, + missing, - extra, * different, ! not proved."),
    ] = None,
    results: Annotated[
        str | None, _list_option("--results", "Every entry with its state and reason, as JSON Lines.")
    ] = None,
    match: Annotated[str | None, _list_option("--match", "The paths of what is the same.")] = None,
    missing_on_dst: Annotated[
        str | None, _list_option("--missing-on-dst", "The paths of what is missing in the target.")
    ] = None,
    missing_on_src: Annotated[
        str | None, _list_option("--missing-on-src", "The paths of what only the target has.")
    ] = None,
    differ: Annotated[str | None, _list_option("--differ", "The paths of what is different.")] = None,
    error: Annotated[str | None, _list_option("--error", "The paths of what could not be compared.")] = None,
    include: IncludeOption = None,
    include_from: IncludeFromOption = None,
    exclude: ExcludeOption = None,
    exclude_from: ExcludeFromOption = None,
    filter_: FilterOption = None,
    filter_from: FilterFromOption = None,
    min_size: MinSizeOption = None,
    max_size: MaxSizeOption = None,
    workers: WorkersOption = None,
    endpoint_url: EndpointUrlOption = None,
    aws_profile: AwsProfileOption = None,
    region: RegionOption = None,
    no_sign_request: NoSignRequestOption = False,
    bwlimit: BwlimitOption = None,
    identity: IdentityOption = None,
    passphrase: UnlockOption = False,
    passphrase_file: PassphraseFileOption = None,
    signers: SignersOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    no_progress: NoProgressOption = False,
) -> int:
    """Compare what devices hold with a bucket or a folder; nothing is written. Exit code 3: they differ."""
    from transfer.core.s3_uri import is_s3_uri
    from transfer.jobs.check.lists import ListPaths
    from transfer.jobs.check.options import CheckOptions
    from transfer.stores.open import no_limit

    if len(places) < 2:
        raise UsageError("check takes one device or more, and what they are compared with", remedy=_USAGE)
    *devices, target = places
    is_bucket = is_s3_uri(target)
    for what, is_given, fits in (
        ("--download", download or download_all, is_bucket),
        ("--objects", objects, is_bucket),
        ("--symlinks", symlinks is not None, is_bucket),
        ("--escaped-names", escaped_names, not is_bucket),
        ("-L", follow_links, not is_bucket),
        ("-x", one_file_system, not is_bucket),
    ):
        if is_given and not fits:
            raise UsageError(
                f"{what} is not for {'buckets' if is_bucket else 'folders'}", remedy="leave it out"
            )
    if quick and (download or download_all):
        raise UsageError("--quick reads no content, --download does", remedy="leave one of them out")
    lists = ListPaths(
        combined=combined or "",
        results=results or "",
        plain=(
            ("same", match or ""),
            ("missing", missing_on_dst or ""),
            ("extra", missing_on_src or ""),
            ("different", differ or ""),
            ("unproved", error or ""),
        ),
    )
    takes_stdout = "-" in (combined, results, match, missing_on_dst, missing_on_src, differ, error)
    if takes_stdout and json:
        raise UsageError(
            "a list and --json cannot both go to standard output", remedy="name a file for the list"
        )
    console = Console(json=json, quiet=quiet, progress=not no_progress)
    options = CheckOptions(
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
        quick=quick,
        download=download,
        download_all=download_all,
        one_way=one_way,
        objects=objects,
        symlinks=read_symlinks(symlinks or "report"),
        escaped_names=escaped_names,
        follow_links=follow_links,
        one_file_system=one_file_system,
        workers=workers or default_workers(),
        keys=read_keys(
            identity, unlock=passphrase, secret_file=passphrase_file, state_directory=state_directory()
        ),
        signers=read_signers(signers),
    )
    limit = read_bwlimit(bwlimit)
    opening = {
        "endpoint_url": endpoint_url,
        "profile": aws_profile,
        "region": region,
        "no_sign_request": no_sign_request,
        "max_connections": options.requests,
        "receive_rate": no_limit if limit is None else lambda: rate_now(limit, "down"),
    }
    checked = interruptible(console, lambda show: _run(devices, target, options, lists, opening, show))
    return conclude(console, devices, target, options, checked, is_silent=takes_stdout)


async def _run(
    devices: list[str],
    target: str,
    options: CheckOptions,
    lists: ListPaths,
    opening: dict[str, Any],
    show: Callable[[Progress], None],
) -> Checked:
    from transfer.core.object_keys import folder_prefix
    from transfer.core.s3_uri import is_s3_uri, parse_s3_uri
    from transfer.jobs.check.job import BucketPlace, Check, FolderPlace
    from transfer.stores.open import open_store

    if not is_s3_uri(target):
        return await Check(devices, FolderPlace(target), options, lists, show).run()
    address = parse_s3_uri(target)
    store = await open_store(address.bucket, **opening)
    try:
        place = BucketPlace(store, address.bucket, folder_prefix(address.prefix))
        return await Check(devices, place, options, lists, show).run()
    finally:
        await store.aclose()
