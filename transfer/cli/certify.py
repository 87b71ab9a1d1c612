"""`transfer certify`: a signed statement that what a device holds is in a bucket; and its check, later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from transfer.cli.console import Console, clip
from transfer.cli.interruptible import interruptible
from transfer.cli.options import (
    AwsProfileOption,
    BwlimitOption,
    DryRunOption,
    EndpointUrlOption,
    JsonOption,
    NoProgressOption,
    NoSignRequestOption,
    QuietOption,
    RegionOption,
    rate_now,
    read_bwlimit,
    read_symlinks,
)
from transfer.cli.secrets import PassphraseFileOption
from transfer.cli.signing import SignKeyOption, read_signer, read_signers
from transfer.cli.unlocking import IdentityOption, UnlockOption, read_keys
from transfer.device.garbage import collecting_rarely
from transfer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from transfer.core.progress import Progress
    from transfer.core.s3_uri import S3Uri
    from transfer.device.signing_key import Signer
    from transfer.jobs.certify.check import Checked
    from transfer.jobs.certify.job import Certified
    from transfer.jobs.certify.papers import Paper
    from transfer.jobs.import_.options import ImportOptions


_SHOWN = 20
_WAYS = {
    "crc64nvme": "the store's CRC64NVME",
    "crc32c": "the store's CRC32C",
    "download": "reading every byte (BLAKE3)",
    "empty": "their size, as they are empty",
}
_SEEN = {
    "etag": "size and ETag, as they were certified",
    "checksum": "the store's checksum",
    "download": "reading every byte (BLAKE3)",
    "empty": "their size, as they are empty",
}
_USAGE = (
    "say transfer certify DEVICE s3://BUCKET/PREFIX --sign-key KEY --output FILE, or --check FILE s3://..."
)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("certify")(certify)


@collecting_rarely()  # from the start: to load modules makes much that stays
def certify(
    places: Annotated[
        list[str],
        typer.Argument(metavar="[DEVICE] s3://BUCKET/PREFIX", help="A device, and where it was imported."),
    ],
    *,
    output: Annotated[
        str | None,
        typer.Option("--output", metavar="FILE", help="Where the certificate goes; never overwritten."),
    ] = None,
    sign_key: SignKeyOption = None,
    signers: Annotated[
        str | None,
        typer.Option(
            "--signers",
            metavar="FILE",
            help="Who may have signed the device, or with --check the certificate: an allowed_signers file.",
        ),
    ] = None,
    check: Annotated[
        str | None,
        typer.Option(
            "--check", metavar="FILE", help="Hold the bucket against this certificate; needs no device."
        ),
    ] = None,
    download: Annotated[
        bool,
        typer.Option("--download", help="Read the objects of which the store has no checksum, and compare."),
    ] = False,
    allow_partial: Annotated[
        bool,
        typer.Option(
            "--allow-partial", help="Write it although entries are not certified, and name them in it."
        ),
    ] = False,
    symlinks: Annotated[
        str | None,
        typer.Option("--symlinks", metavar="report|skip|rclone", help="As in the import; default: report."),
    ] = None,
    endpoint_url: EndpointUrlOption = None,
    aws_profile: AwsProfileOption = None,
    region: RegionOption = None,
    no_sign_request: NoSignRequestOption = False,
    bwlimit: BwlimitOption = None,
    dry_run: DryRunOption = False,
    identity: IdentityOption = None,
    passphrase: UnlockOption = False,
    passphrase_file: PassphraseFileOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    no_progress: NoProgressOption = False,
) -> int:
    """Look for everything that a device holds in a bucket, and sign what was found; or --check it later."""
    from transfer.core.s3_uri import parse_s3_uri
    from transfer.stores.open import no_limit

    console = Console(json=json, quiet=quiet, progress=not no_progress)
    limit = read_bwlimit(bwlimit)
    opening = {
        "endpoint_url": endpoint_url,
        "profile": aws_profile,
        "region": region,
        "no_sign_request": no_sign_request,
        "max_connections": 64,
        "receive_rate": no_limit if limit is None else lambda: rate_now(limit, "down"),
    }
    if check is not None:
        given = (output, sign_key, identity, symlinks, passphrase_file)
        if (
            len(places) != 1
            or any(one is not None for one in given)
            or passphrase
            or allow_partial
            or dry_run
        ):
            what = "--check takes a certificate, its bucket, --signers, --download and the store's options"
            raise UsageError(what, remedy=_USAGE)
        return _check(console, check, parse_s3_uri(places[0]), signers, download, opening)
    if len(places) != 2 or (not dry_run and (output is None or sign_key is None)):
        raise UsageError("certify takes a device, a bucket, --sign-key and --output", remedy=_USAGE)
    from transfer.core.object_keys import folder_prefix
    from transfer.jobs.import_.options import ImportOptions

    address = parse_s3_uri(places[1])
    opens = passphrase_file if identity or passphrase else None
    options = ImportOptions(
        bucket=address.bucket,
        prefix=folder_prefix(address.prefix),
        symlinks=read_symlinks(symlinks or "report"),
        signers=read_signers(signers),
        keys=read_keys(identity, unlock=passphrase, secret_file=opens),
    )
    signer = read_signer(None if dry_run else sign_key, passphrase_file)
    if dry_run:
        output = None
    found = interruptible(
        console,
        lambda show: _certify(
            places[0], options, opening, signer, output, show, download=download, allow_partial=allow_partial
        ),
    )
    return _conclude(console, places[0], output, found)


async def _certify(
    device: str,
    options: ImportOptions,
    opening: dict[str, Any],
    signer: Signer | None,
    path: str | None,
    show: Callable[[Progress], None],
    *,
    download: bool,
    allow_partial: bool,
) -> Certified:
    from dataclasses import replace

    from transfer.jobs.certify.job import Certify
    from transfer.stores.open import endpoint_name, open_store

    endpoint = await endpoint_name(opening["endpoint_url"], opening["profile"])
    store = await open_store(options.bucket, **opening)
    try:
        job = Certify(
            device,
            store,
            replace(options, endpoint=endpoint),
            signer,
            path,
            download=download,
            allow_partial=allow_partial,
            observe=show,
        )
        return await job.run()
    finally:
        await store.aclose()


def _conclude(console: Console, device: str, path: str | None, found: Certified) -> int:
    from transfer.jobs.certify.tally import shown

    certificate, tally = found.certificate, found.tally
    console.result(_document(path, found), _lines(device, path, found))
    for defect in found.defects[:_SHOWN]:
        console.warn(f"the device is damaged, its manifest is whole: {defect}")
    for entry in tally.first[:_SHOWN]:
        console.warn(clip(f"not certified: {shown(entry)}"))
    if tally.not_certified:
        told = ", ".join(f"{count:,} {state}" for state, count in sorted(tally.states.items()))
        console.warn(f"{tally.not_certified:,} entries are not certified: {told}")
    if certificate is None and path is not None:
        console.warn("no certificate was written; with --allow-partial it names what it does not certify")
    if "different" in tally.states:
        return 4
    return 3 if tally.not_certified else 0


def _document(path: str | None, found: Certified) -> dict[str, Any]:
    tally = found.tally
    return {
        "certificate": path if found.certificate is not None else None,
        "complete": not (tally.not_certified or found.older_versions),
        "objects": tally.objects,
        "bytes": tally.bytes,
        "evidence": tally.evidence,
        "other_objects": found.other_objects,
        "older_versions": found.older_versions,
        "symlinks_left_out": found.symlinks_left_out,
        "not_certified": tally.not_certified,
        "states": tally.states,
        "not_certified_first": tally.first,
        "defects": found.defects,
        "entries": found.certificate.entries if found.certificate is not None else None,
        "blake3": found.blake3,
    }


def _lines(device: str, path: str | None, found: Certified) -> list[str]:
    from transfer.core.sizes import format_size

    tally = found.tally
    there = f"{tally.objects:,} objects, {format_size(tally.bytes)}"
    if found.certificate is None and (path is not None or tally.not_certified):
        return [f"{device} is NOT certified: {there} of it were found in the bucket as they should be"]
    how = ", ".join(f"{count:,} by {_WAYS[kind]}" for kind, count in tally.kinds.items())
    part = "IN PART " if tally.not_certified or found.older_versions else ""
    said = "would certify" if found.certificate is None else f"certified {part}in {path}:"
    lines = [f"{said} {device}: {there}", f"  compared: {how or 'nothing'}"]
    if found.other_objects:
        lines.append(f"  {found.other_objects:,} more objects are there that are of no entry of this device")
    if left := found.symlinks_left_out:
        lines.append(f"  {left:,} symbolic links were left out, as asked: they are not in the bucket")
    if found.older_versions:
        lines.append(
            f"  of keys with versions the newest were looked for; {found.older_versions:,} older ones and "
            "delete markers are not certified"
        )
    elif not tally.not_certified:
        lines.append(
            f"  every{' other' if found.symlinks_left_out else ''} entry of the device is in the bucket"
        )
    return lines


def _check(
    console: Console,
    path: str,
    address: S3Uri,
    signers: str | None,
    download: bool,
    opening: dict[str, Any],
) -> int:
    from transfer.core.object_keys import folder_prefix
    from transfer.jobs.certify.papers import read_paper

    paper = read_paper(path, read_signers(signers))
    told = paper.certificate
    if (told.bucket, told.prefix) != (address.bucket, folder_prefix(address.prefix)):
        what = f"{path} certifies s3://{told.bucket}/{told.prefix}, not {address}"
        raise UsageError(what, remedy="name the place that the certificate names")
    if signers is None:
        console.warn(f"{path} is signed by {paper.signed_by}: give --signers FILE to know whose key that is")
    checked = interruptible(console, lambda show: _hold(paper, opening, show, download=download))
    return _conclude_check(console, paper, checked)


async def _hold(
    paper: Paper, opening: dict[str, Any], show: Callable[[Progress], None], *, download: bool
) -> Checked:
    from transfer.jobs.certify.check import check
    from transfer.stores.open import open_store

    store = await open_store(paper.certificate.bucket, **opening)
    try:
        return await check(paper, store, download=download, observe=show)
    finally:
        await store.aclose()


def _conclude_check(console: Console, paper: Paper, checked: Checked) -> int:
    from transfer.core.sizes import format_size

    certificate, wrong = paper.certificate, sum(checked.wrong.values())
    how = ", ".join(f"{count:,} by {_SEEN[kind]}" for kind, count in checked.same.items())
    there = f"{checked.objects - wrong:,} of {checked.objects:,} objects, certified {certificate.finished}"
    lines = [
        f"{paper.path}: {there}, are what they were ({format_size(checked.bytes)} in all)",
        f"  seen: {how or 'nothing'}",
    ]
    if checked.other_objects:
        lines.append(f"  {checked.other_objects:,} more objects are there that were not certified")
    if certificate.not_certified:
        lines.append(f"  {certificate.not_certified:,} entries of the device never were certified")
    document = {
        "certificate": paper.path,
        "blake3": paper.blake3,
        "signed_by": paper.signed_by,
        "finished": certificate.finished,
        "device_id": certificate.device_id,
        "not_certified": certificate.not_certified,
        **vars(checked),
    }
    console.result(document, lines)
    for one in checked.first[:_SHOWN]:
        console.warn(clip(f"{one.state}: {one.key}: {one.reason}"))
    if wrong:
        told = ", ".join(f"{count:,} {state}" for state, count in sorted(checked.wrong.items()))
        console.warn(f"{wrong:,} objects are not what was certified: {told}")
    if {"missing", "different"} & checked.wrong.keys():
        return 4
    return 3 if wrong else 0
