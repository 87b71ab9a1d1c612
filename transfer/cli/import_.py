"""`transfer import`: bring what a device holds into a bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from transfer.cli.console import Console, clip
from transfer.cli.interruptible import interruptible
from transfer.cli.options import (
    AwsProfileOption,
    BwlimitOption,
    DryRunOption,
    EndpointUrlOption,
    ExcludeFromOption,
    ExcludeOption,
    FilterFromOption,
    FilterOption,
    GuestWhoOption,
    IfExistsOption,
    IgnoreCustodyOption,
    IncludeFromOption,
    IncludeOption,
    JsonOption,
    LedgerOption,
    NoProgressOption,
    NoSignRequestOption,
    QuietOption,
    RegionOption,
    StorageClassOption,
    WorkersOption,
    check_who,
    default_workers,
    rate_now,
    read_bwlimit,
    read_filter,
    read_if_exists,
    read_storage_class,
    read_symlinks,
)
from transfer.cli.secrets import PassphraseFileOption
from transfer.cli.signing import SignersOption, read_signers, signed_line
from transfer.cli.state import ledger_address
from transfer.cli.unlocking import IdentityOption, UnlockOption, read_keys
from transfer.device.garbage import collecting_rarely

if TYPE_CHECKING:
    from collections.abc import Callable

    from transfer.core.progress import Progress
    from transfer.jobs.import_.dry_run import Measured
    from transfer.jobs.import_.options import ImportOptions
    from transfer.jobs.import_.outcome import Outcome

_SHOWN_FAILURES = 20


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("import")(import_)


@collecting_rarely()  # from the start: to load modules makes much that stays
def import_(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="A sealed device.")],
    bucket: Annotated[str, typer.Argument(metavar="s3://BUCKET/PREFIX", help="Where the objects go.")],
    endpoint_url: EndpointUrlOption = None,
    aws_profile: AwsProfileOption = None,
    region: RegionOption = None,
    no_sign_request: NoSignRequestOption = False,
    report: Annotated[
        str | None,
        typer.Option("--report", metavar="DIR", help="Write report.json, success.csv and failure.csv there."),
    ] = None,
    ledger: LedgerOption = None,
    if_exists: IfExistsOption = "same",
    abandon: Annotated[
        bool,
        typer.Option("--abandon", help="Give up an import that was interrupted: abort its open uploads."),
    ] = False,
    symlinks: Annotated[
        str, typer.Option("--symlinks", metavar="report|skip|rclone", help="What becomes of symbolic links.")
    ] = "report",
    storage_class: StorageClassOption = "keep",
    objects: Annotated[
        bool,
        typer.Option(
            "--objects",
            help="The device was copied from a folder that objects were restored into: make the same objects "
            "of them, by the list .transfer-objects.jsonl.",
        ),
    ] = False,
    incomplete: Annotated[
        bool,
        typer.Option("--incomplete", help="Take a device that is not sealed or whose last copy did not end."),
    ] = False,
    include: IncludeOption = None,
    include_from: IncludeFromOption = None,
    exclude: ExcludeOption = None,
    exclude_from: ExcludeFromOption = None,
    filter_: FilterOption = None,
    filter_from: FilterFromOption = None,
    bwlimit: BwlimitOption = None,
    workers: WorkersOption = None,
    identity: IdentityOption = None,
    passphrase: UnlockOption = False,
    passphrase_file: PassphraseFileOption = None,
    signers: SignersOption = None,
    allow_older: Annotated[
        bool,
        typer.Option("--allow-older", help="Take a device although a newer seal of it was seen before."),
    ] = False,
    who: GuestWhoOption = None,
    ignore_custody: IgnoreCustodyOption = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    no_progress: NoProgressOption = False,
) -> int:
    """Bring the objects of a device into a bucket, verified on the way."""
    import asyncio

    from transfer.core.object_keys import folder_prefix
    from transfer.core.s3_uri import parse_s3_uri
    from transfer.device.allocation import keep_large_blocks
    from transfer.jobs.import_.options import ImportOptions
    from transfer.stores.open import endpoint_name, no_limit

    check_who(who)
    keep_large_blocks()
    console = Console(json=json, quiet=quiet, progress=not no_progress)
    address, limit = parse_s3_uri(bucket), read_bwlimit(bwlimit)
    options = ImportOptions(
        bucket=address.bucket,
        prefix=folder_prefix(address.prefix),
        endpoint=asyncio.run(endpoint_name(endpoint_url, aws_profile)),
        filter=read_filter(
            include=include,
            include_from=include_from,
            exclude=exclude,
            exclude_from=exclude_from,
            rules=filter_,
            rules_from=filter_from,
        ),
        symlinks=read_symlinks(symlinks),
        if_exists=read_if_exists(if_exists),
        workers=workers or default_workers(),
        incomplete=incomplete,
        signers=read_signers(signers),
        allow_older=allow_older or abandon,  # what is given up may be of an older seal
        who=who,
        ignore_custody=ignore_custody,
        storage_class=read_storage_class(storage_class),
        object_file=objects,
        keys=read_keys(identity, unlock=passphrase, secret_file=passphrase_file),
    )
    opening = {
        "endpoint_url": endpoint_url,
        "profile": aws_profile,
        "region": region,
        "no_sign_request": no_sign_request,
        "max_connections": options.requests,
        "send_rate": no_limit if limit is None else lambda: rate_now(limit, "up"),
    }
    if dry_run:
        return _dry_run(console, device, options)
    address_of_ledger = ledger_address(ledger)
    if abandon:
        return asyncio.run(_abandon(console, device, options, opening, address_of_ledger))
    outcome = interruptible(
        console, lambda show: _run(console, device, options, opening, address_of_ledger, report, show)
    )
    return _conclude(console, outcome, report)


async def _run(
    console: Console,
    device: str,
    options: ImportOptions,
    opening: dict[str, Any],
    ledger: str,
    report: str | None,
    show: Callable[[Progress], None],
) -> Outcome:
    from transfer.device.clock import timestamp
    from transfer.jobs.import_.job import Import
    from transfer.ledger.ledger import open_ledger
    from transfer.stores.open import open_store

    async with open_ledger(ledger, timestamp) as opened:
        store = await open_store(options.bucket, **opening)
        job = Import(device, store, options, opened, report, show)
        try:
            return await job.run()
        finally:
            await store.aclose()
            for note in job.outcome.notes:
                console.warn(note)
            for left in job.outcome.uploads_left:
                console.warn(f"an upload in parts may be left at the store: {left}")
            if parked := job.outcome.uploads_parked:
                console.warn(
                    f"{parked:,} uploads in parts stay open at the store; "
                    "the same command goes on with them, and aborts them when --abandon is added"
                )


async def _abandon(
    console: Console, device: str, options: ImportOptions, opening: dict[str, Any], ledger: str
) -> int:
    import asyncio

    from transfer.device.clock import timestamp
    from transfer.jobs.import_.arrival import receive
    from transfer.jobs.import_.registration import abandon, register
    from transfer.ledger.ledger import open_ledger
    from transfer.ledger.phases import Phase
    from transfer.stores.open import open_store

    arrival = await asyncio.to_thread(
        receive, device, options.incomplete, lambda finding: None, options.keys, options.signers
    )
    async with open_ledger(ledger, timestamp) as opened:
        job, _ = await register(opened, arrival, options)
        store = await open_store(options.bucket, **opening)
        try:
            count = await abandon(opened, store, job.number)
        finally:
            await store.aclose()
        if job.phase is not Phase.COMPLETE:
            await opened.jobs.set_phase(job.number, Phase.CANCELLED)
    console.result(
        {"job_id": job.job_id, "uploads_aborted": count},
        [f"gave up: {count:,} open uploads in s3://{options.bucket}/{options.prefix} were aborted"],
    )
    return 0


def _dry_run(console: Console, device: str, options: ImportOptions) -> int:
    from transfer.core.sizes import format_size
    from transfer.jobs.import_.dry_run import measure

    measured = measure(device, options)
    for finding in measured.findings[:_SHOWN_FAILURES]:
        console.warn(f"the device is damaged: {finding}")
    for refused in measured.refused[:_SHOWN_FAILURES]:
        console.warn(clip(f"would refuse {refused.key}: {refused.error}"))
    console.result(
        measured,
        [
            f"would write {measured.objects:,} objects, {format_size(measured.bytes)}, "
            f"to s3://{options.bucket}/{options.prefix}; {measured.refusals:,} entries could not go",
            *_would_add(measured),
        ],
    )
    if measured.findings:
        return 4
    return 3 if measured.refusals else 0


def _would_add(measured: Measured) -> list[str]:
    from transfer.core.sizes import format_size

    if not (measured.older_versions or measured.delete_markers):
        return []
    return [
        f"  if the bucket keeps versions, also {measured.older_versions:,} older versions, "
        f"{format_size(measured.older_bytes)}, and {measured.delete_markers:,} delete markers"
    ]


def _about_versions(outcome: Outcome) -> list[str]:
    lines: list[str] = []
    if outcome.delete_markers:
        lines.append(f"  {outcome.delete_markers:,} delete markers stand between versions, as at the source")
    if outcome.versions_left_out or outcome.deleted_left_out:
        lines.append(
            f"  the bucket keeps no versions: {outcome.versions_left_out:,} older versions were left out, "
            f"and {outcome.deleted_left_out:,} keys that were deleted last"
        )
    return lines


def _conclude(console: Console, outcome: Outcome, report: str | None) -> int:
    from transfer.core.sizes import format_size
    from transfer.jobs.import_.device_set import told

    hidden = ("rows", "journal", "observe", "total_files", "total_bytes", "bytes_of_parts", "bytes_verified")
    document = {name: value for name, value in vars(outcome).items() if name not in hidden}
    size = format_size(outcome.bytes)
    lines = [f"imported {outcome.objects:,} objects, {size}, into s3://{outcome.bucket}"]
    if outcome.already:
        lines.append(f"  {outcome.already:,} of them were in the bucket already and were not sent")
    if outcome.skipped:
        lines.append(f"  {outcome.skipped:,} were left out, because the bucket has objects of their keys")
    if outcome.objects:
        how = "ETags alone, it checks no sums" if outcome.verified_by == "none" else outcome.verified_by
        lines.append(f"  verified on the device by BLAKE3, at the store by {how}")
    lines += _about_versions(outcome)
    if outcome.superseded:
        lines.append(f"  {outcome.superseded:,} files were replaced by a later run and not sent")
    lines += signed_line(outcome.signed_by)
    if about_set := told(outcome.devices_of, outcome.devices):
        lines.append(f"  {about_set}")
    console.result(document, lines)
    if outcome.tags_omitted:
        console.warn(f"{outcome.tags_omitted:,} objects have tags at the source that could not be read there")
    for finding in outcome.findings[:_SHOWN_FAILURES]:
        console.warn(f"the device is damaged: {finding}")
    for failure in outcome.failures[:_SHOWN_FAILURES]:
        console.warn(clip(f"not imported: {failure.key}: {failure.error}"))
    if outcome.failed or outcome.findings:
        where = f"{report}/failure.csv lists them" if report else "--report DIR lists them all"
        console.warn(f"{outcome.failed:,} entries are not in the bucket as they should be; {where}")
    if outcome.integrity_failures:
        return 4
    return 3 if outcome.failed else 0
