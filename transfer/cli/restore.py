"""`transfer restore`: bring what a device holds into a directory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

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
    from transfer.jobs.restore.dry_run import Measured
    from transfer.jobs.restore.options import IfExists
    from transfer.jobs.restore.outcome import Outcome

_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("restore")(restore)


@collecting_rarely()  # from the start: to load modules makes much that stays
def restore(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="A sealed device.")],
    directory: Annotated[str, typer.Argument(metavar="DIRECTORY", help="Where the files go; it exists.")],
    if_exists: Annotated[
        str,
        typer.Option(
            "--if-exists",
            metavar="same|skip|overwrite|newer|fail",
            help="Where a file of the name is there: count it if size and time are the same, else fail "
            "(same); leave it; replace it unless they are; replace it if it is older; fail.",
        ),
    ] = "same",
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
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    no_progress: NoProgressOption = False,
) -> int:
    """Bring the files of a device into a directory, verified before they get their names."""

    from transfer.device.allocation import keep_large_blocks
    from transfer.jobs.restore.options import RestoreOptions

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
        if_exists=_read_if_exists(if_exists),
        workers=workers or default_workers(),
        incomplete=incomplete,
        keys=read_keys(identity, unlock=passphrase, secret_file=passphrase_file),
        signers=read_signers(signers),
        sets_owner=os.geteuid() == 0,
    )
    if dry_run:
        from transfer.jobs.restore.dry_run import measure

        return _tell_measured(console, directory, measure(device, directory, options))
    from transfer.jobs.restore.job import restore as run

    outcome = interruptible(console, lambda show: run(device, directory, options, show))
    return _conclude(console, directory, outcome)


def _read_if_exists(text: str) -> IfExists:
    from transfer.jobs.restore.options import IfExists

    try:
        return IfExists(text)
    except ValueError:
        what = f"--if-exists {text!r} is not possible"
        raise UsageError(what, remedy="say same, skip, overwrite, newer or fail") from None


def _tell_measured(console: Console, directory: str, measured: Measured) -> int:
    from transfer.core.sizes import format_size

    for finding in measured.findings[:_SHOWN]:
        console.warn(f"the device is damaged: {finding}")
    for refused in measured.refused[:_SHOWN]:
        console.warn(clip(f"would not restore {refused.path}: {refused.error}"))
    size = format_size(measured.bytes)
    line = f"would write {measured.entries:,} entries, {size}, to {directory}"
    more = f"{measured.already:,} are there already, {measured.refusals:,} could not be restored"
    console.result(measured, [f"{line}; {more}"])
    if measured.findings:
        return 4
    return 3 if measured.refusals else 0


def _conclude(console: Console, directory: str, outcome: Outcome) -> int:
    from transfer.core.sizes import format_size

    shown = ("entries", "bytes", "already", "skipped", "failed", "damaged", "incomplete")
    listed = ("failures", "notes", "findings", "signed_by")
    document = {"directory": os.fsencode(directory).decode(errors="replace")}
    counts = {name: getattr(outcome, name) for name in (*shown, *listed)}
    lines = [f"restored {outcome.entries:,} entries, {format_size(outcome.bytes)}, into {directory}"]
    if outcome.already:
        lines.append(f"  {outcome.already:,} were there already and were not read")
    if outcome.skipped:
        lines.append(f"  {outcome.skipped:,} were left as they are in the directory")
    if outcome.entries:
        lines.append("  each file was verified by BLAKE3 before it got its name")
    lines += signed_line(outcome.signed_by)
    console.result({**document, **counts}, lines)
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
    return outcome.exit_code
