"""`transfer seal`: close a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from transfer.cli.console import Console
from transfer.cli.options import DryRunOption, JsonOption, QuietOption, WhoOption, check_who
from transfer.cli.secrets import PassphraseFileOption
from transfer.cli.signing import SignKeyOption, read_signer
from transfer.cli.state import state_directory
from transfer.errors import UsageError

if TYPE_CHECKING:
    from transfer.device.signing_key import Signer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("seal")(seal)


def seal(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="A prepared device.")],
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Seal although the last copy did not end.")
    ] = False,
    sign_key: SignKeyOption = None,
    passphrase_file: PassphraseFileOption = None,
    reopen: Annotated[
        bool, typer.Option("--reopen", help="Take a sealed device back, to copy more to it and seal it anew.")
    ] = False,
    who: WhoOption = "",
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Close a device with the list of everything on it; it takes no more data.

    With --sign-key the list is signed; a device that is sealed already is signed as it is.
    """
    from transfer.core.sizes import format_size
    from transfer.device.device import open_device
    from transfer.jobs.seal import seal as run

    console = Console(json=json, quiet=quiet)
    check_who(who)
    if reopen:
        _reopen(console, device, sign_key, incomplete=incomplete, dry_run=dry_run)
        return
    signer = read_signer(sign_key, passphrase_file)
    if signer is not None and open_device(device).is_sealed:
        _sign(console, device, signer, who, dry_run=dry_run)
        return
    sealed = run(
        device,
        allow_incomplete=incomplete,
        who=who,
        signer=signer,
        dry_run=dry_run,
        state_directory=state_directory(),
    )
    document, totals = sealed.document, sealed.totals
    lines = [
        f"{'would seal' if dry_run else 'sealed'} {device}: {len(document.packs):,} packs, "
        f"{totals.entries:,} entries, {format_size(totals.content_bytes)} in "
        f"{format_size(totals.stored_bytes)}",
        f"  SEAL.json has BLAKE3 {sealed.blake3}",
    ]
    if signer is not None:
        lines.append(f"  {'to be signed' if dry_run else 'signed'} by {signer.public.fingerprint}")
    if document.devices:
        lines.append(f"  it is the last of the {len(document.devices)} devices of job {document.job}")
    if sealed.custody is not None:
        lines.append(f"  its custody log ends with entry {sealed.custody.number}, {sealed.custody.blake3}")
    if sealed.is_encrypted and not dry_run:
        lines.append("  it is encrypted, and its resume key was destroyed: this host cannot read it any more")
    if totals.failed or totals.skipped:
        missed = f"{totals.failed:,} failed, {totals.skipped:,} skipped"
        lines.append(f"  in its runs {missed}; `transfer ls --problems` lists what is not on it by now")
    summary = {
        "sealed": not dry_run,
        "seal_blake3": sealed.blake3,
        "generation": document.generation,
        "signed_by": signer.public.fingerprint if signer is not None and not dry_run else None,
        "custody": sealed.custody,
        "device_id": document.device_id,
        "job": document.job,
        "complete": document.complete,
        "packs": len(document.packs),
        "totals": totals,
        "devices": document.devices or [],
    }
    console.result(summary, lines)
    if not document.packs:
        console.warn(f"{device} has nothing on it: no copy or export brought anything there")


def _sign(console: Console, device: str, signer: Signer, who: str, *, dry_run: bool) -> None:
    from transfer.jobs.sign import sign

    signed = sign(device, signer, who=who, dry_run=dry_run, state_directory=state_directory())
    verb = ("would sign" if dry_run else "signed") if signed.is_new else "was signed before:"
    lines = [
        f"{verb} the seal of {device}, with {signer.public.fingerprint}",
        f"  SEAL.json has BLAKE3 {signed.blake3}",
    ]
    if signed.custody is not None:
        lines.append(f"  its custody log ends with entry {signed.custody.number}, {signed.custody.blake3}")
    summary = {
        "sealed": True,
        "seal_blake3": signed.blake3,
        "generation": signed.document.generation,
        "signed_by": None if dry_run and signed.is_new else signer.public.fingerprint,
        "custody": signed.custody,
        "device_id": signed.document.device_id,
        "job": signed.document.job,
        "complete": signed.document.complete,
        "packs": len(signed.document.packs),
    }
    console.result(summary, lines)


def _reopen(console: Console, device: str, sign_key: str | None, *, incomplete: bool, dry_run: bool) -> None:
    from transfer.jobs.reopen import reopen

    if sign_key is not None or incomplete:
        what = "--reopen takes a seal away, so there is nothing to sign or to seal"
        raise UsageError(what, remedy="give it alone, copy to the device, and seal it then")
    opened = reopen(device, dry_run=dry_run)
    verb = "would reopen" if dry_run else "reopened"
    summary = {
        "reopened": not dry_run,
        "generation": opened.generation,
        "device_id": opened.device.document.device_id,
        "job": opened.device.document.job,
    }
    lines = [f"{verb} {device}: it takes more data; its next seal has generation {opened.generation + 1}"]
    console.result(summary, lines)
