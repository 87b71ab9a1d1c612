"""`transfer restore`: bring what a device holds into a directory."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from transfer.cli.console import Console, clip
from transfer.cli.interruptible import interruptible
from transfer.cli.options import (
    DryRunOption,
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
    QuietOption,
    WorkersOption,
    default_workers,
    read_filter,
)
from transfer.cli.secrets import PassphraseFileOption
from transfer.cli.signing import SignersOption, read_signers, signed_line
from transfer.cli.unlocking import IdentityOption, UnlockOption, read_keys
from transfer.device.garbage import collecting_rarely
from transfer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transfer.jobs.restore.dry_run import Measured
    from transfer.jobs.restore.if_exists import IfExists
    from transfer.jobs.restore.outcome import Outcome

_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("restore")(restore)


@collecting_rarely()  # from the start: to load modules makes much that stays
def restore(
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="DEVICE... DIRECTORY",
            help="Sealed devices of one job, and behind them where the files go; it exists.",
        ),
    ],
    path: Annotated[
        list[str] | None,
        typer.Option(
            "--path",
            metavar="PATH",
            help="Only this file, or this folder with all that is in it, as `transfer ls` shows it; may be "
            "given again. Of the device no more is read than that needs.",
        ),
    ] = None,
    if_exists: Annotated[
        str,
        typer.Option(
            "--if-exists",
            metavar="same|skip|overwrite|newer|fail",
            help="Where a file of the name is there: count it if size and time are the same, else fail "
            "(same); leave it; replace it unless they are; replace it if it is older; fail.",
        ),
    ] = "same",
    names: Annotated[
        str,
        typer.Option(
            "--names",
            metavar="auto|posix|windows|macos",
            help="What DIRECTORY takes as names; auto tries. Others are changed, and listed in a file.",
        ),
    ] = "auto",
    no_object_file: Annotated[
        bool,
        typer.Option(
            "--no-object-file",
            help="Of a device with objects: do not list their keys and metadata in .transfer-objects.jsonl.",
        ),
    ] = False,
    bag: Annotated[
        bool,
        typer.Option("--bag", help="Make DIRECTORY, which is empty, a BagIt 1.0 bag; the files go to data/."),
    ] = False,
    bag_info: Annotated[
        list[str] | None,
        typer.Option(
            "--bag-info", metavar="LABEL:VALUE", help="A fact for the bag's bag-info.txt; may be given again."
        ),
    ] = None,
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
    min_size: MinSizeOption = None,
    max_size: MaxSizeOption = None,
    workers: WorkersOption = None,
    identity: IdentityOption = None,
    passphrase: UnlockOption = False,
    passphrase_file: PassphraseFileOption = None,
    signers: SignersOption = None,
    expect_head: Annotated[
        list[str] | None,
        typer.Option(
            "--expect-head",
            metavar="HASH",
            help="An entry that the custody log must have, as it was written down when the device left; one "
            "for each device.",
        ),
    ] = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    no_progress: NoProgressOption = False,
) -> int:
    """Bring the files of devices into a directory, verified before they get their names."""

    from transfer.device.allocation import keep_large_blocks
    from transfer.jobs.restore.options import RestoreOptions

    *devices, directory = places
    if not devices:
        raise UsageError(
            "there is one name, and two are needed", remedy="name the devices, then the directory"
        )
    keep_large_blocks()
    console = Console(json=json, quiet=quiet, progress=not no_progress)
    options = RestoreOptions(
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
        paths=_read_paths(path or []),
        if_exists=_read_if_exists(if_exists),
        names=_read_names(names),
        object_file=not no_object_file,
        bag=_read_bag(bag, bag_info or []),
        workers=workers or default_workers(),
        incomplete=incomplete,
        keys=read_keys(identity, unlock=passphrase, secret_file=passphrase_file),
        signers=read_signers(signers),
        heads=_read_heads(expect_head or []),
        sets_owner=os.geteuid() == 0,
    )
    if dry_run:
        from transfer.jobs.restore.dry_run import measure

        return _tell_measured(console, directory, measure(devices, directory, options))
    from transfer.jobs.restore.job import restore as run

    outcome = interruptible(console, lambda show: run(devices, directory, options, show))
    return _conclude(console, directory, outcome, is_bag=bag)


def _read_if_exists(text: str) -> IfExists:
    from transfer.jobs.restore.if_exists import IfExists

    try:
        return IfExists(text)
    except ValueError:
        what = f"--if-exists {text!r} is not possible"
        raise UsageError(what, remedy="say same, skip, overwrite, newer or fail") from None


def _read_names(text: str) -> Literal["auto", "posix", "windows", "macos"]:
    match text:
        case "auto" | "posix" | "windows" | "macos":
            return text
    raise UsageError(f"--names {text!r} is not possible", remedy="say auto, posix, windows or macos")


def _read_bag(wanted: bool, texts: list[str]) -> tuple[tuple[str, str], ...] | None:
    if not wanted:
        if texts:
            raise UsageError("--bag-info is for a bag", remedy="say --bag as well")
        return None
    from transfer.formats.bagit import info_field

    return tuple(map(info_field, texts))


def _read_paths(texts: list[str]) -> tuple[bytes, ...]:
    if not all(text.strip("/") for text in texts):
        raise UsageError("--path names nothing", remedy="give it as `transfer ls` shows it")
    return tuple(map(os.fsencode, texts))


def _read_heads(texts: list[str]) -> tuple[str, ...]:
    for text in texts:
        if not re.fullmatch("[0-9a-f]{64}", text):
            what = f"--expect-head {text!r} is no BLAKE3 of an entry"
            raise UsageError(what, remedy="give the 64 digits that seal or custody showed")
    return tuple(texts)


def _tell_measured(console: Console, directory: str, measured: Measured) -> int:
    import msgspec

    from transfer.core.sizes import format_size

    for finding in measured.findings[:_SHOWN]:
        console.warn(f"the device is damaged: {finding}")
    for refused in measured.refused[:_SHOWN]:
        console.warn(clip(f"would not restore {refused.path}: {refused.error}"))
    size = format_size(measured.bytes)
    line = f"would write {measured.entries:,} entries, {size}, to {directory}"
    more = f"{measured.already:,} are there already, {measured.refusals:,} could not be restored"
    console.result({"dry_run": True, **msgspec.structs.asdict(measured)}, [f"{line}; {more}"])
    _warn_missing(console, measured.missing_devices, later=measured.later_devices)
    if measured.findings:
        return 4
    return 3 if measured.refusals else 0


def _conclude(console: Console, directory: str, outcome: Outcome, *, is_bag: bool) -> int:
    shown = ("entries", "bytes", "already", "skipped", "failed", "damaged", "incomplete")
    listed = ("failures", "notes", "findings", "devices", "missing_devices", "later_devices")
    document: dict[str, Any] = {
        "dry_run": False,
        "directory": os.fsencode(directory).decode(errors="replace"),
    }
    if is_bag:
        document["bag"] = {
            "files": outcome.bagged_files,
            "bytes": outcome.bagged_bytes,
            "misread": outcome.bag_misread,
        }
    counts = {name: getattr(outcome, name) for name in (*shown, *listed)}
    console.result({**document, **counts}, _lines(directory, outcome))
    for finding in outcome.findings[:_SHOWN]:
        console.warn(f"the device is damaged: {finding}")
    for failure in outcome.failures[:_SHOWN]:
        console.warn(clip(f"not restored: {failure.path}: {failure.error}"))
    for note in outcome.notes[:_SHOWN]:
        console.warn(clip(f"restored in part: {note.path}: {note.error}"))
    if outcome.failed or outcome.incomplete:
        told = f"{outcome.failed:,} entries are not there as they should be"
        part = f", {outcome.incomplete:,} lack some of owner, rights, times or attributes"
        console.warn(f"{told}{part if outcome.incomplete else ''}; --json lists the first 1,000 of them")
    if outcome.bag_misread:
        told = f"{outcome.bag_misread:,} paths of the bag hold % or a line break, or end in a blank"
        console.warn(f"{told}: manifests spell them as RFC 8493 says, which not all readers of bags undo")
    _warn_missing(console, outcome.missing_devices, later=outcome.later_devices)
    return outcome.exit_code


def _lines(directory: str, outcome: Outcome) -> Iterator[str]:
    from transfer.core.sizes import format_size

    yield f"restored {outcome.entries:,} entries, {format_size(outcome.bytes)}, into {directory}"
    if outcome.already:
        yield f"  {outcome.already:,} were there already and were not read"
    if outcome.skipped:
        yield f"  {outcome.skipped:,} were left as they are in the directory"
    if outcome.entries:
        yield "  each file was verified by BLAKE3 before it got its name"
    if outcome.bagged_files:
        size = format_size(outcome.bagged_bytes)
        yield f"  it is a bag now, of {outcome.bagged_files:,} files, {size}, with SHA-256"
    for device in outcome.devices:
        seal = device.generation or "none"
        yield f"  {device.device}: device {device.ordinal} of job {device.job}, seal {seal}"
        if device.custody_entry >= 0:
            yield f"    its custody log ends with entry {device.custody_entry}, {device.custody_blake3}"
        yield from (f"  {line}" for line in signed_line(device.signed_by))


def _warn_missing(console: Console, ordinals: list[int], *, later: bool) -> None:
    from transfer.core.ordinals import told_devices

    if ordinals:
        told = told_devices(ordinals, later=later)
        console.warn(f"of the job, not given: {told}; what is there alone is not restored")
