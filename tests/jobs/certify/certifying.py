"""Certificates made in this process: of a bucket in memory by the job, of a server's by the command."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import zstandard

from tests.jobs.buckets import Bucket
from tests.jobs.memory_import import OPTIONS
from tests.jobs.shipment import Ended, transfer
from transfer.device.signing_key import load_signer
from transfer.formats.allowed_signers import AllowedSigners
from transfer.jobs.certify.check import Checked, check
from transfer.jobs.certify.job import Certified, Certify
from transfer.jobs.certify.papers import read_paper
from transfer.jobs.import_.options import ImportOptions, Symlinks

ALL = replace(OPTIONS, symlinks=Symlinks.RCLONE)


@dataclass(frozen=True)
class Issuer:
    """Whoever signs certificates: a private key, and the file that says whose it is."""

    key: Path
    signers: Path

    @property
    def allowed(self) -> AllowedSigners:
        """The file, read."""
        return AllowedSigners.parse(self.signers.read_text(), str(self.signers))


def refuse(prompt: str) -> str:
    """Where nothing is to be asked."""
    raise AssertionError(prompt)


async def certify_in_memory(
    device: Path,
    store: Any,
    issuer: Issuer,
    path: Path,
    options: ImportOptions = ALL,
    **asked: Any,
) -> Certified:
    """Certify a device in a bucket in memory."""
    signer = load_signer(str(issuer.key), refuse)
    return await Certify(os.fspath(device), store, options, signer, str(path), **asked).run()


async def check_in_memory(path: Path, store: Any, issuer: Issuer, **asked: Any) -> Checked:
    """Check it later."""
    return await check(read_paper(str(path), issuer.allowed), store, **asked)


def certify(bucket: Bucket, *arguments: str | os.PathLike[str], prefix: str = "") -> Ended:
    """The command, with whatever comes before the bucket in `arguments`."""
    place = f"s3://{bucket.name}/{prefix}"
    ended = transfer(
        "certify",
        *arguments,
        place,
        "--endpoint-url",
        bucket.server.endpoint_url,
        "--no-progress",
        environment=bucket.environment(),
    )
    assert "Traceback" not in ended.stderr
    return ended


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The companion, read by other means than the product's."""
    stored = path.with_name(path.name + ".entries.jsonl.zst").read_bytes()
    text = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(stored)).read()
    return [json.loads(line) for line in text.splitlines()]


def files_beside(path: Path) -> set[str]:
    """What there is of a certificate, finished or not."""
    return {file.name for file in path.parent.iterdir() if file.name.startswith(path.name)}
