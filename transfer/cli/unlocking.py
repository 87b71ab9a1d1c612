"""The options that open an encrypted device: identities of the destination, or the unlock code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from transfer.cli.secrets import asker

if TYPE_CHECKING:
    from transfer.device.encryption import Keys

IdentityOption = Annotated[
    list[str] | None,
    typer.Option(
        "--identity",
        "-i",
        metavar="FILE",
        help="What opens an encrypted device: an age identity or an SSH private key; may be repeated.",
    ),
]
UnlockOption = Annotated[
    bool,
    typer.Option("--passphrase", help="Ask for the unlock code that `prepare --passphrase` printed."),
]


def read_keys(
    identities: list[str] | None,
    *,
    unlock: bool = False,
    secret_file: str | None = None,
    state_directory: str = "",
) -> Keys:
    """What the options say.

    Args:
        identities: files of identities.
        unlock: an unlock code opens it.
        secret_file: the answer to every question for a passphrase or code, else it is asked for.
        state_directory: where this host's resume identities are; empty: none is looked for.

    Raises:
        UsageError: a file is no identity, or the code has a slip in it.
        AccessError: a file cannot be read, others can read it, or its passphrase is wrong.
    """
    from transfer.device.encryption import Keys

    if not identities and not unlock and secret_file is None:
        return Keys(state_directory=state_directory)
    from transfer.core.unlock_code import UnlockCode
    from transfer.device.identities import CodeHolder, load_identities

    ask = asker(secret_file)
    holders = load_identities(identities or [], ask)
    if unlock or not identities:
        holders.append(CodeHolder(UnlockCode.parse(ask("Unlock code"))))
    return Keys(holders, state_directory)
