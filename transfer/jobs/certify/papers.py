"""A certificate that was written before: read back, its signature and its companion checked."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from blake3 import blake3

from transfer.core.moments import parse_moment
from transfer.device.key_files import read_public_file
from transfer.device.signature import SignedBy
from transfer.errors import FormatError, IntegrityError, UsageError
from transfer.formats import sshsig
from transfer.formats.allowed_signers import AllowedSigners
from transfer.formats.certificate import (
    ENTRIES_SUFFIX,
    MAX_CERTIFICATE_BYTES,
    NAMESPACE,
    SIGNATURE_SUFFIX,
    Certificate,
    EntriesFile,
    decode_certificate,
)
from transfer.formats.certificate_entries import CertifiedObject, Line, read_entries

_BLOCK_BYTES = 1 << 20
_DISTRUST = "do not rely on it: ask whoever issued it for another copy"


@dataclass(frozen=True)
class Paper:
    """A certificate whose signature is right.

    Attributes:
        blake3: of its exact bytes.
        signed_by: the key, and whose it is; the principal is empty where no signers were given.
    """

    path: str
    certificate: Certificate
    blake3: str
    signed_by: SignedBy


def read_paper(path: str, signers: AllowedSigners | None) -> Paper:
    """Read a certificate and check its signature.

    The key has to be allowed at the time that the certificate tells, which is signed: it is read when keys
    may long have expired.

    Raises:
        UsageError: there is no such file.
        FormatError: it is no certificate, or its signature is none.
        IntegrityError: it is not signed, the signature is of something else, or the signers do not allow it.
    """
    text = read_public_file(path, "certificate", limit_bytes=MAX_CERTIFICATE_BYTES)
    certificate = decode_certificate(text, path)
    finished = parse_moment(certificate.finished, f"{path}: finished")
    signature = path + SIGNATURE_SUFFIX
    if not os.path.lexists(signature):
        raise IntegrityError(f"certificate {path} is not signed: there is no {signature}", remedy=_DISTRUST)
    armored = read_public_file(signature, "signature", limit_bytes=sshsig.MAX_SIGNATURE_BYTES)
    try:
        public = sshsig.verify(text, armored, NAMESPACE)
        principal = "" if signers is None else signers.principal(public, NAMESPACE, finished)
    except FormatError:
        raise
    except IntegrityError as error:
        raise IntegrityError(f"{signature}: {error.what}", remedy=error.remedy or _DISTRUST) from None
    return Paper(path, certificate, blake3(text).hexdigest(), SignedBy(public.fingerprint, principal))


@contextlib.contextmanager
def open_entries(paper: Paper) -> Iterator[Iterator[Line]]:
    """The lines of a certificate's companion, which was found to be the one that is signed.

    Raises:
        UsageError: it is not there.
        IntegrityError: it is another; while it is read: a line is none, or they are not in order.
    """
    path = paper.path + ENTRIES_SUFFIX
    try:
        file = open(path, "rb")  # noqa: SIM115  (closed below)
    except OSError as error:
        what = f"the companion {path} of the certificate cannot be read: {error.strerror}"
        raise UsageError(what, remedy="put it beside the certificate") from None
    with file:
        _check_digest(file, path, paper.certificate.entries)
        file.seek(0)
        yield _in_order(read_entries(file, path), path)


def _check_digest(file: BinaryIO, path: str, told: EntriesFile) -> None:
    digest, size = blake3(), 0
    while block := file.read(_BLOCK_BYTES):
        digest.update(block)
        size += len(block)
    if (size, digest.hexdigest()) != (told.size_bytes, told.blake3):
        raise IntegrityError(f"{path} is not the companion that was signed", remedy=_DISTRUST)


def _in_order(lines: Iterator[Line], path: str) -> Iterator[Line]:
    last = ""
    for line in lines:
        if isinstance(line, CertifiedObject):
            if line.key <= last:
                raise FormatError(f"{path}: the key {line.key[:200]!r} is out of order")
            last = line.key
        yield line
