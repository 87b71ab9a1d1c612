"""`transfer custody`: through whose hands a device went; and to say that it changes hands now."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transfer.cli.console import Console, table
from transfer.cli.options import JsonOption, QuietOption
from transfer.cli.secrets import PassphraseFileOption
from transfer.cli.signing import SignKeyOption, read_signer, read_signers
from transfer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transfer.formats.custody import Head
    from transfer.jobs.custody import Custody, Signature

_SHOWN_DIGITS = 12  # of a digest, in the table
_SHOWN_WRONG = 20


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("custody")(custody)


def custody(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="A device.")],
    *,
    event: Annotated[
        str | None,
        typer.Option("--event", metavar="handed-over|received", help="Add an entry instead of showing them."),
    ] = None,
    who: Annotated[
        str,
        typer.Option("--who", metavar="TEXT", help="With --event: who has handed it over, or received it."),
    ] = "",
    note: Annotated[
        str, typer.Option("--note", metavar="TEXT", help="With --event: a tracking number, for example.")
    ] = "",
    sign_key: SignKeyOption = None,
    passphrase_file: PassphraseFileOption = None,
    signers: Annotated[
        str | None,
        typer.Option(
            "--signers", metavar="FILE", help="Who may sign entries: allowed signers, as ssh-keygen has them."
        ),
    ] = None,
    expect: Annotated[
        str | None,
        typer.Option(
            "--expect", metavar="HASH", help="An entry that the log must still have, as it was written down."
        ),
    ] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Show the custody log of a device and check its chain, or add an entry to it."""
    console = Console(json=json, quiet=quiet)
    if event is None:
        if who or note or sign_key:
            what = "--who, --note and --sign-key are for an entry"
            raise UsageError(what, remedy="say --event handed-over or --event received with them")
        return _show(console, device, _digest(expect), signers)
    if signers is not None or expect is not None:
        what = "--signers and --expect check a log, --event adds to it"
        raise UsageError(what, remedy="give two commands")
    _add(console, device, event, who, note, sign_key, passphrase_file)
    return 0


def _add(
    console: Console,
    device: str,
    event: str,
    who: str,
    note: str,
    sign_key: str | None,
    passphrase_file: str | None,
) -> None:
    from transfer.jobs.custody import HANDED, add

    handed = next((one for one in HANDED if one == event), None)
    if handed is None:
        what = f"--event {event!r} is not possible"
        raise UsageError(what, remedy=f"say {' or '.join(HANDED)}; others are written by their commands")
    if not who.strip():
        raise UsageError(f"nobody is named for --event {event}", remedy="say --who NAME")
    head = add(device, handed, who=who, note=note, signer=read_signer(sign_key, passphrase_file))
    console.result(
        {"event": event, "who": who, "head": head},
        [f"wrote entry {head.number}, {event} by {who}, to the custody log of {device}", _head_line(head)],
    )


def _show(console: Console, device: str, expected: str, signers: str | None) -> int:
    from transfer.jobs.custody import look

    found = look(device, expected=expected, signers=read_signers(signers))
    console.result(_document(found), _lines(device, found))
    for number in found.wrong[:_SHOWN_WRONG]:
        console.warn(f"the signature of entry {number} is wrong: {found.signatures[number].problem}")
    return 4 if found.wrong else 0


def _document(found: Custody) -> dict[str, Any]:
    log = found.log
    entries = [
        {"entry": entry, "blake3": digest, "signature": vars(signature)}
        for entry, digest, signature in zip(log.entries, log.digests, found.signatures, strict=True)
    ]
    return {
        "device_id": found.device.document.device_id,
        "valid": not found.wrong,
        "head": log.head,
        "seal_blake3": found.seal_blake3,
        "tells_of_seal": found.tells_of_seal,
        "torn_bytes": log.torn_bytes,
        "entries": entries,
    }


def _lines(device: str, found: Custody) -> Iterator[str]:
    log = found.log
    if not log.entries:
        yield f"{device} has no custody log"
    else:
        rows = [
            [
                str(entry.number),
                entry.time,
                entry.event,
                entry.who or "-",
                entry.host,
                entry.seal_blake3[:_SHOWN_DIGITS] or "-",
                _signed(signature),
                entry.note,
            ]
            for entry, signature in zip(log.entries, found.signatures, strict=True)
        ]
        headings = ("ENTRY", "TIME", "EVENT", "WHO", "HOST", "SEAL", "SIGNED", "NOTE")
        yield from table(headings, rows, right=[0])
        yield ""
        yield f"the chain is whole: {len(rows):,} entries, each bound to the one before it"
        yield _head_line(log.head)
        if not found.tells_of_seal:
            yield "  no entry tells of the seal that is on the device"
    if log.torn_bytes:
        yield f"  behind it are {log.torn_bytes:,} bytes of an entry that was never finished"


def _head_line(head: Head) -> str:
    return f"  its last entry has BLAKE3 {head.blake3}: write it down, --expect checks it"


def _signed(signature: Signature) -> str:
    match signature.state:
        case "none":
            return "-"
        case "wrong":
            return "WRONG"
        case "known":
            return signature.signer
    return f"{signature.key} (not checked)"


def _digest(text: str | None) -> str:
    if text is None:
        return ""
    if not re.fullmatch("[0-9a-f]{64}", text):
        what = f"--expect {text!r} is no BLAKE3 of an entry"
        raise UsageError(what, remedy="give the 64 digits that seal or custody showed")
    return text
