"""`transfer manifest`: what a device holds, as a list that other programs read."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transfer.cli.console import Console, clip
from transfer.cli.options import JsonOption, NoProgressOption, QuietOption
from transfer.cli.secrets import PassphraseFileOption
from transfer.cli.signing import SignersOption, read_signers
from transfer.cli.state import state_directory
from transfer.cli.unlocking import IdentityOption, UnlockOption, read_keys
from transfer.device.garbage import collecting_rarely
from transfer.errors import UsageError

if TYPE_CHECKING:
    from transfer.jobs.lists.options import Listed, ListFormat

_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("manifest")(manifest)


@collecting_rarely()
def manifest(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="A sealed device.")],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="b3sum|s3-inventory|bom",
            help="For b3sum --check; CSV as Amazon S3 Inventory has it; XML as Azure Data Box has it.",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where it goes, an inventory into a folder; default: stdout.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    bucket: Annotated[
        str | None,
        typer.Option(
            "--bucket",
            metavar="s3://BUCKET/PREFIX",
            help="Of an inventory: where the device is imported; default: what it was exported from.",
        ),
    ] = None,
    incomplete: Annotated[
        bool,
        typer.Option("--incomplete", help="Take a device that is not sealed or whose last copy did not end."),
    ] = False,
    identity: IdentityOption = None,
    passphrase: UnlockOption = False,
    passphrase_file: PassphraseFileOption = None,
    signers: SignersOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    no_progress: NoProgressOption = False,
) -> int:
    """Write what a device holds as a list for other programs; no content is read."""
    from transfer.core.s3_uri import parse_s3_uri
    from transfer.jobs.lists.job import write_list
    from transfer.jobs.lists.options import ListFormat, ListOptions

    console = Console(json=json, quiet=quiet, progress=not no_progress)
    chosen = _read_format(form)
    if json and output is None:
        raise UsageError("--json and the list would both go to stdout", remedy="say --output")
    if bucket is not None and chosen is not ListFormat.INVENTORY:
        raise UsageError("--bucket is of an s3-inventory alone", remedy="leave it out")
    options = ListOptions(
        chosen,
        address=None if bucket is None else parse_s3_uri(bucket),
        overwrite=overwrite,
        incomplete=incomplete,
        keys=read_keys(
            identity, unlock=passphrase, secret_file=passphrase_file, state_directory=state_directory()
        ),
        signers=read_signers(signers),
    )
    with console.progress() as show:
        listed = write_list(device, output, options, show, _to_stdout)
    return _conclude(console, device, output, listed)


def _to_stdout(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)  # bytes: names need not be text


def _read_format(text: str) -> ListFormat:
    from transfer.jobs.lists.options import ListFormat

    try:
        return ListFormat(text)
    except ValueError:
        what = f"--format {text!r} is not possible"
        raise UsageError(what, remedy="say b3sum, s3-inventory or bom") from None


def _conclude(console: Console, device: str, output: str | None, listed: Listed) -> int:
    from transfer.core.sizes import format_size

    if output is not None:
        document: dict[str, Any] = {"output": output}
        document |= {name: getattr(listed, name) for name in listed.__struct_fields__}
        line = (
            f"listed {listed.lines:,} entries of {device}, {format_size(listed.content_bytes)}, in {output}"
        )
        console.result(document, [line])
    for defect in listed.defects[:_SHOWN]:
        console.warn(f"the device is damaged, its manifest is whole: {defect}")
    for entry in listed.left_out_first[:_SHOWN]:
        console.warn(clip(f"not in the list: {_name(entry.path, entry.path_base64)}: {entry.reason}"))
    if listed.left_out:
        console.warn(f"{listed.left_out:,} entries are not in the list")
    if listed.not_on_device:
        hint = f"`transfer ls --problems {device}` tells which"
        console.note(f"{listed.not_on_device:,} entries of the source are not on the device; {hint}")
    return listed.exit_code


def _name(path: str, encoded: str) -> str:
    from transfer.core.paths import display, from_text

    return display(from_text(path, encoded))
