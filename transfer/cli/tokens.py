"""`transfer tokens`: who may ask the ingest service, and for what."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from transfer.cli.console import Console, table
from transfer.cli.options import JsonOption
from transfer.cli.state import TOKENS_NAME, make_state_directory, state_directory

if TYPE_CHECKING:
    from transfer.service.http.tokens import TokenRecord

StateOption = Annotated[
    str | None,
    typer.Option("--state", metavar="DIR", help="State directory of the service; see 'transfer serve'."),
]
TokensOption = Annotated[
    str | None,
    typer.Option(
        "--tokens", metavar="FILE", help="Where tokens are kept; default: tokens.json in the state."
    ),
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Who or what uses it.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    tokens = typer.Typer(help="Who may ask the ingest service: add, list and revoke tokens.")
    tokens.command("add")(add)
    tokens.command("list")(list_)
    tokens.command("revoke")(revoke)
    app.add_typer(tokens, name="tokens")


def tokens_file(tokens: str | None, state: str | None) -> str:
    """The file that is asked for, or that of the state directory, which is made.

    Raises:
        UsageError: the state directory cannot be made.
    """
    return tokens or os.path.join(make_state_directory(state or state_directory()), TOKENS_NAME)


def add(
    name: NameArgument,
    *,
    role: Annotated[
        str,
        typer.Option(
            "--role",
            metavar="read|operate",
            help="read: see everything; operate: also pause, resume, retry and cancel.",
        ),
    ],
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="DURATION", help="Valid for so long: 12h, 90d; default: for ever."),
    ] = None,
    state: StateOption = None,
    tokens: TokensOption = None,
    json: JsonOption = False,
) -> None:
    """Make a token and print it, this once."""
    from transfer.device.clock import timestamp
    from transfer.errors import UsageError
    from transfer.service.http.token_file import change_tokens
    from transfer.service.http.tokens import Role, TokenRecord, check_name, digest_of, new_token

    if role not in list(Role):
        raise UsageError(f"--role {role!r} is not possible", remedy="say read or operate")
    token = new_token()
    record = TokenRecord(check_name(name), Role(role), digest_of(token), timestamp(), _end(expires))

    def with_it(known: list[TokenRecord]) -> list[TokenRecord]:
        if any(other.name == name for other in known):
            raise UsageError(
                f"there is a token {name!r} already", remedy="revoke it first, or use another name"
            )
        return [*known, record]

    change_tokens(tokens_file(tokens, state), with_it)
    console = Console(json=json)
    console.note(f"keep it safe: token {name!r} ({role}) is not shown again")
    console.result({"name": name, "role": role, "expires": record.expires, "token": token}, [token])


def list_(state: StateOption = None, tokens: TokensOption = None, json: JsonOption = False) -> None:
    """List the tokens there are; what they are is not known any more."""
    from transfer.device.clock import timestamp
    from transfer.service.http.token_file import read_tokens

    known, now = read_tokens(tokens_file(tokens, state)), timestamp()
    shown = [
        {
            "name": record.name,
            "role": record.role,
            "created": record.created,
            "expires": record.expires,
            "expired": not record.is_valid(now),
        }
        for record in known
    ]
    rows = [
        [
            record.name,
            record.role,
            record.created,
            record.expires or "never",
            "" if record.is_valid(now) else "yes",
        ]
        for record in known
    ]
    headings = ("NAME", "ROLE", "CREATED", "EXPIRES", "EXPIRED")
    Console(json=json).result({"tokens": shown}, table(headings, rows))


def revoke(
    name: NameArgument, state: StateOption = None, tokens: TokensOption = None, json: JsonOption = False
) -> None:
    """Make a token invalid, at once, in a running service as well."""
    from transfer.errors import UsageError
    from transfer.service.http.token_file import change_tokens

    def without_it(known: list[TokenRecord]) -> list[TokenRecord]:
        left = [record for record in known if record.name != name]
        if len(left) == len(known):
            raise UsageError(f"there is no token {name[:80]!r}", remedy="see 'transfer tokens list'")
        return left

    change_tokens(tokens_file(tokens, state), without_it)
    Console(json=json).result({"revoked": name}, [f"revoked {name}"])


def _end(expires: str | None) -> str | None:
    """When a token of this lifetime, made now, expires: RFC 3339 in UTC, whole seconds."""
    from datetime import UTC, datetime, timedelta

    from transfer.cli.durations import parse_duration
    from transfer.core.moments import moment_text

    if expires is None:
        return None
    end = datetime.now(UTC) + timedelta(seconds=parse_duration(expires, what="--expires"))
    return moment_text(end)
