"""The options of signatures: whose count, and the key that signs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from transfer.device.signature import SignedBy
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


def signed_line(signed_by: SignedBy | None) -> list[str]:
    """A line that says who signed, where somebody did."""
    if signed_by is None:
        return []
    if not signed_by.principal:
        return [f"  signed by {signed_by.key}; whose key that is was not checked: no --signers"]
    return [f"  signed by {signed_by.principal} ({signed_by.key})"]
