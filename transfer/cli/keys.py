"""`transfer keys`: make the keys of both ends, and say which half goes where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from transfer.cli.console import Console
from transfer.cli.options import JsonOption
from transfer.cli.secrets import PassphraseFileOption, ask_new_secret, asker

if TYPE_CHECKING:
    from transfer.jobs.keys import KeyPair

_NAMESPACES = "transfer-seal,transfer-custody,transfer-certificate"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    keys = typer.Typer(help="Keys of both ends: make them, show their public halves.")
    keys.command("generate")(generate)
    keys.command("show")(show)
    app.add_typer(keys, name="keys")


def generate(
    *,
    identity: Annotated[
        str | None,
        typer.Option("--identity", metavar="FILE", help="Make an age identity: the destination's, to read."),
    ] = None,
    signing: Annotated[
        str | None,
        typer.Option("--signing", metavar="FILE", help="Make an Ed25519 SSH key: to sign seals and more."),
    ] = None,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Protect the secret half with a passphrase; it is asked for.")
    ] = False,
    passphrase_file: PassphraseFileOption = None,
    comment: Annotated[
        str | None,
        typer.Option(
            "--comment", metavar="NAME", help="Whose signing key it is; default: this user at this host."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make a key: FILE, secret, and FILE.pub.

    FILE is readable by its owner alone (mode 0600), FILE.pub is to be given away; what is printed says to
    whom. Nothing is ever overwritten.
    """
    from transfer.device.clock import timestamp
    from transfer.errors import UsageError
    from transfer.jobs.keys import generate_identity, generate_signing_key

    if (identity is None) == (signing is None):
        raise UsageError("one kind of key is made at a time", remedy="say --identity FILE or --signing FILE")
    if identity is not None and comment is not None:
        raise UsageError("an identity has no comment", remedy="leave --comment away")
    protects = passphrase or passphrase_file is not None
    path = identity or signing or ""
    secret = asker(passphrase_file, ask_new_secret)(f"New passphrase of {path}") if protects else None
    console = Console(json=json)
    if identity is not None:
        made = generate_identity(identity, created=timestamp(), passphrase=secret)
        console.result(_document(made, public_file=made.public_path), _about_identity(made))
        return
    name = _user_at_host() if comment is None else comment
    made = generate_signing_key(path, comment=name, passphrase=secret)
    line = f'{name} namespaces="{_NAMESPACES}" {made.public}'
    document = _document(made, public_file=made.public_path, signers_line=line)
    console.result(document, _about_signing_key(made, line))


def show(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A secret half: age identity or SSH key.")],
    passphrase_file: PassphraseFileOption = None,
    json: JsonOption = False,
) -> None:
    """Show the public half of a key and its state.

    The secret half is never shown. A file that others can read is refused (exit code 12).
    """
    from transfer.jobs.keys import show as run

    key = run(file, asker(passphrase_file))
    lines = [
        key.public,
        f"  kind         {key.kind}",
        *([f"  fingerprint  {key.fingerprint}"] if key.fingerprint else []),
        f"  passphrase   {'yes' if key.protected else 'no'}",
        f"  mode         {key.mode:04o}, its owner's alone",
    ]
    Console(json=json).result(_document(key), lines)


def _document(key: KeyPair, **more: str) -> dict[str, object]:
    return {
        "kind": key.kind,
        "file": key.path,
        "public": key.public,
        "fingerprint": key.fingerprint,
        "protected": key.protected,
        "mode": f"{key.mode:04o}",
        **more,
    }


def _about_identity(made: KeyPair) -> list[str]:
    return [
        f"made identity {made.path}, {_state(made)}, and its public half {made.public_path}",
        f"  {made.public}",
        f"{made.path} stays at the destination. It opens the devices, and without it nobody can: keep a",
        "second copy in another safe place. It never travels with a device, nor lies on the source host.",
        f"  transfer import DEVICE s3://BUCKET --identity {made.path}",
        f"{made.public_path} goes to the source, which encrypts to it:",
        f"  transfer prepare DEVICE --profile PROFILE --job JOB --recipient {made.public_path}",
    ]


def _about_signing_key(made: KeyPair, line: str) -> list[str]:
    return [
        f"made signing key {made.path}, {_state(made)}, and its public half {made.public_path}",
        f"  {made.fingerprint}",
        f"{made.path} stays with whoever signs, on the host of the command. It never travels with a device.",
        f"  transfer seal DEVICE --sign-key {made.path}",
        f"{made.public_path} goes to the other end, by another way than the device. There this line belongs",
        "in the file of signers; strike from it what the key shall not sign:",
        f"  {line}",
        "  transfer import DEVICE s3://BUCKET --signers FILE",
    ]


def _state(made: KeyPair) -> str:
    return f"mode {made.mode:04o}, {'with a' if made.protected else 'without'} passphrase"


def _user_at_host() -> str:
    """As ssh-keygen writes it, without what a list of signers could not hold."""
    import getpass
    import re
    import socket

    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in containers
        user = "user"
    return re.sub(r"[^A-Za-z0-9@._+-]", "-", f"{user}@{socket.gethostname()}")[:100].lstrip("@._+-")
