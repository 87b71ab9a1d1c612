"""`transfer serve`: take devices as they arrive at a dock, import them, tell where things stand."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transfer.cli.console import Console
from transfer.cli.options import (
    AwsProfileOption,
    BwlimitOption,
    EndpointUrlOption,
    GuestWhoOption,
    IfExistsOption,
    IgnoreCustodyOption,
    JsonOption,
    LedgerOption,
    NoSignRequestOption,
    RegionOption,
    StorageClassOption,
    WorkersOption,
    check_who,
    default_workers,
    rate_now,
    read_bwlimit,
    read_if_exists,
    read_storage_class,
    read_symlinks,
)
from transfer.cli.secrets import PassphraseFileOption
from transfer.cli.signing import SignersOption, read_signers
from transfer.cli.state import LEDGER_NAME, REPORTS_NAME, make_state_directory, state_directory
from transfer.cli.tokens import TokensOption, tokens_file
from transfer.cli.unlocking import IdentityOption, UnlockOption, read_keys
from transfer.errors import UsageError

if TYPE_CHECKING:
    import ssl

    from transfer.service.serving import Serving


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("serve")(serve)


def serve(
    *,
    dock: Annotated[str, typer.Option("--dock", metavar="DIR", help="The folder where devices arrive.")],
    bucket: Annotated[
        str,
        typer.Option(
            "--bucket",
            metavar="s3://BUCKET/PREFIX",
            help="Where the objects go; the prefix may hold {job}, {ordinal} and {device_id}.",
        ),
    ],
    endpoint_url: EndpointUrlOption = None,
    aws_profile: AwsProfileOption = None,
    region: RegionOption = None,
    no_sign_request: NoSignRequestOption = False,
    state: Annotated[
        str | None,
        typer.Option(
            "--state",
            metavar="DIR",
            help="Where ledger, tokens and reports are; default: $STATE_DIRECTORY, or transfer in "
            "$XDG_STATE_HOME or ~/.local/state.",
        ),
    ] = None,
    ledger: LedgerOption = None,
    tokens: TokensOption = None,
    imports: Annotated[
        int, typer.Option("--imports", min=1, max=16, help="How many devices are imported at a time.")
    ] = 2,
    verify: Annotated[
        str,
        typer.Option(
            "--verify",
            metavar="along|first",
            help="along: everything is checked as the import reads it; first: the whole device before the "
            "first object.",
        ),
    ] = "along",
    if_exists: IfExistsOption = "same",
    symlinks: Annotated[
        str, typer.Option("--symlinks", metavar="report|skip|rclone", help="What becomes of symbolic links.")
    ] = "report",
    storage_class: StorageClassOption = "keep",
    bwlimit: BwlimitOption = None,
    workers: WorkersOption = None,
    identity: IdentityOption = None,
    passphrase: UnlockOption = False,
    passphrase_file: PassphraseFileOption = None,
    signers: SignersOption = None,
    who: GuestWhoOption = None,
    ignore_custody: IgnoreCustodyOption = False,
    settle: Annotated[
        str,
        typer.Option(
            "--settle", metavar="DURATION", help="A device is looked at when it has not changed for so long."
        ),
    ] = "5s",
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any that is free.")] = 8470,
    tls_cert: Annotated[
        str | None, typer.Option("--tls-cert", metavar="FILE", help="Certificate chain, PEM: serve https.")
    ] = None,
    tls_key: Annotated[
        str | None, typer.Option("--tls-key", metavar="FILE", help="Its private key, PEM.")
    ] = None,
    insecure_http: Annotated[
        bool,
        typer.Option("--insecure-http", help="Listen beyond this machine without TLS; tokens can be read."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Serve a dock: import devices as they arrive, show a web page and an HTTP API. Logs go to stderr."""
    import asyncio
    from functools import partial

    from transfer.cli.durations import parse_duration
    from transfer.core.object_keys import folder_prefix
    from transfer.core.s3_uri import parse_s3_uri
    from transfer.jobs.import_.options import ImportOptions
    from transfer.service.ingest.plan import Plan
    from transfer.service.serving import Serving
    from transfer.stores.open import endpoint_name, open_store

    address, limit = parse_s3_uri(bucket), read_bwlimit(bwlimit)
    check_who(who)
    _check_choice("--verify", verify, ("along", "first"))
    options = ImportOptions(
        bucket=address.bucket,
        prefix=folder_prefix(address.prefix),
        endpoint=asyncio.run(endpoint_name(endpoint_url, aws_profile)),
        symlinks=read_symlinks(symlinks),
        if_exists=read_if_exists(if_exists),
        workers=workers or default_workers(),
        signers=read_signers(signers),
        who=who,
        ignore_custody=ignore_custody,
        storage_class=read_storage_class(storage_class),
        keys=read_keys(identity, unlock=passphrase, secret_file=passphrase_file),
    )
    tls = _tls(host, tls_cert, tls_key, insecure_http=insecure_http)
    home = make_state_directory(state or state_directory())
    serving = Serving(
        dock=dock,
        plan=Plan(options, imports=imports, verify_first=verify == "first"),
        ledger=ledger or os.path.join(home, LEDGER_NAME),
        reports=os.path.join(home, REPORTS_NAME),
        tokens=tokens_file(tokens, home),
        open_store=partial(
            open_store,
            options.bucket,
            endpoint_url=endpoint_url,
            profile=aws_profile,
            region=region,
            no_sign_request=no_sign_request,
            max_connections=options.requests,
            # Each import has a line of its own: together they keep the limit.
            send_rate=lambda: _share(rate_now(limit, "up"), imports),
        ),
        host=host,
        port=port,
        tls=tls,
        settle_s=parse_duration(settle, what="--settle"),
    )
    _run(serving, Console(json=json), str(address))


def _run(serving: Serving, console: Console, destination: str) -> None:
    import asyncio

    from transfer.device.allocation import keep_large_blocks
    from transfer.device.garbage import collecting_rarely
    from transfer.service.logs import set_up_logging
    from transfer.service.serving import serve as run

    def on_listening(url: str) -> None:
        document: dict[str, Any] = {"listening": url, "dock": serving.dock, "destination": destination}
        console.result(document, [f"listening on {url}"])

    set_up_logging()
    keep_large_blocks()
    with collecting_rarely():
        asyncio.run(run(serving, on_listening))


def _tls(
    host: str, certificate: str | None, key: str | None, *, insecure_http: bool
) -> ssl.SSLContext | None:
    from transfer.service.http.listener import is_loopback, load_tls

    if (certificate is None) != (key is None):
        raise UsageError("--tls-cert and --tls-key belong together", remedy="give both, or none")
    if certificate is not None and key is not None:
        return load_tls(certificate, key)
    if not is_loopback(host) and not insecure_http:
        raise UsageError(
            f"--host {host} would show tokens to the network",
            remedy="give --tls-cert and --tls-key, stay on 127.0.0.1 behind a proxy, or say --insecure-http",
        )
    return None


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{option} {value!r} is not possible", remedy=f"say {' or '.join(choices)}")


def _share(rate: int | None, imports: int) -> float | None:
    return None if rate is None else rate / imports
