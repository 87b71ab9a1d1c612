"""The options of signatures: whose count, and the key that signs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from transfer.cli.secrets import asker

if TYPE_CHECKING:
    from transfer.device.signature import SignedBy
    from transfer.device.signing_key import Signer
    from transfer.formats.allowed_signers import AllowedSigners

SignersOption = Annotated[
    str | None,
    typer.Option(
        "--signers",
        metavar="FILE",
        help="Take only devices that a key of this file signed (allowed signers, as ssh-keygen has them).",
    ),
]
SignKeyOption = Annotated[
    str | None,
    typer.Option(
        "--sign-key",
        metavar="FILE",
        help="Sign with this OpenSSH private key, or, where it is a .pub file, with ssh-agent.",
    ),
]


def read_signers(path: str | None) -> AllowedSigners | None:
    """The value of --signers.

    Raises:
        UsageError: the file cannot be read, or has a line that is none.
    """
    if path is None:
        return None
    from transfer.device.signers import load_signers

    return load_signers(path)


def read_signer(path: str | None, passphrase_file: str | None) -> Signer | None:
    """The value of --sign-key; a passphrase is asked for, unless a file has it.

    Raises:
        UsageError, AccessError: it is no key that signs, or cannot be read.
    """
    if path is None:
        return None
    from transfer.device.signing_key import load_signer

    return load_signer(path, asker(passphrase_file))


def signed_line(signed_by: SignedBy | None) -> list[str]:
    """A line that says who signed, where somebody did."""
    if signed_by is None:
        return []
    if not signed_by.principal:
        return [f"  signed by {signed_by.key}; whose key that is was not checked: no --signers"]
    return [f"  signed by {signed_by.principal} ({signed_by.key})"]
