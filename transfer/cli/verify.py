"""`transfer verify`: is what is on the device what was put there?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from transfer.cli.console import Console
from transfer.cli.options import (
    GuestWhoOption,
    JsonOption,
    NoProgressOption,
    QuietOption,
    WorkersOption,
    check_who,
    default_workers,
)
from transfer.cli.secrets import PassphraseFileOption
from transfer.cli.signing import SignersOption, read_signers, signed_line
from transfer.cli.state import state_directory
from transfer.cli.unlocking import IdentityOption, UnlockOption, read_keys
from transfer.device.allocation import keep_large_blocks
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
    identity: IdentityOption = None,
    passphrase: UnlockOption = False,
    passphrase_file: PassphraseFileOption = None,
    signers: SignersOption = None,
    workers: WorkersOption = None,
    who: GuestWhoOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    no_progress: NoProgressOption = False,
) -> int:
    """Read every stored byte and compare; exit code 4 when anything is wrong."""
    from transfer.jobs.verify.job import verify as run

    check_who(who)
    console = Console(json=json, quiet=quiet, progress=not no_progress)
    keys = read_keys(
        identity, unlock=passphrase, secret_file=passphrase_file, state_directory=state_directory()
    )
    allowed = read_signers(signers)
    if keys.holders:
        keep_large_blocks()  # decrypted blocks come and go
    with console.progress() as show:
        result = run(
            device,
            deep=deep,
            observe=show,
            on_finding=lambda finding: None if json else console.line(str(finding)),
            workers=workers or default_workers(),
            keys=keys,
            signers=allowed,
        )
    console.result({"valid": result.is_valid, **vars(result)}, _lines(device, result))
    if who is not None and result.is_valid:
        _tell_custody(console, device, result, who)
    return 0 if result.is_valid else 4


def _tell_custody(console: Console, device: str, result: Verification, who: str) -> None:
    from transfer.device.device import open_device
    from transfer.jobs.custody import try_to_add

    note = "every frame opened" if result.is_deep else "stored bytes"
    added = try_to_add(open_device(device), "verified", who=who, note=note, verb="verify")
    if isinstance(added, str):
        console.warn(added)


def _lines(device: str, result: Verification) -> list[str]:
    from transfer.core.sizes import format_size

    against = "its seal" if result.is_sealed else "its segments (it is not sealed)"
    how = "every frame opened" if result.is_deep else "stored bytes"
    if result.is_locked:
        how = "stored bytes (encrypted, not opened: give --identity)"
    read = f"{result.packs:,} packs, {format_size(result.bytes)} read, {how}, against {against}"
    if result.is_valid:
        return [f"{device} is valid: {read}", *signed_line(result.signed_by)]
    return [f"{device} is NOT valid: {result.count:,} findings; {read}", *signed_line(result.signed_by)]
