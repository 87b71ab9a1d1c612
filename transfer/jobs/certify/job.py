"""certify, the job: every entry of a device looked for in the bucket; what was found is written and signed.

Nothing is remembered of the import: listing, HEAD and, where asked for, the bytes themselves say what there
is. A certificate is written only when every entry is certified, or when those that are not were allowed and
are named in it. Memory does not grow with the number of entries. The device is not written to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from blake3 import blake3
from msgspec import UNSET

from transfer import __version__
from transfer.core.paths import to_text
from transfer.core.progress import Progress
from transfer.device.clock import timestamp
from transfer.device.path_table import PathTable
from transfer.device.signature import SignedBy
from transfer.errors import IntegrityError
from transfer.formats.certificate import (
    MAX_PRINCIPAL_CHARS,
    NAMESPACE,
    Certificate,
    EntriesFile,
    SealSigner,
    encode_certificate,
)
from transfer.formats.certificate_entries import MAX_TAG_CHARS, CertifiedObject, Line, NotCertified
from transfer.jobs.certify.output import Output
from transfer.jobs.certify.tally import Tally, clipped
from transfer.jobs.comparing.examiner import Examiner, Finding
from transfer.jobs.comparing.expected import Expectation, whole_view
from transfer.jobs.comparing.listing import Listing
from transfer.jobs.comparing.older import OlderVersions
from transfer.jobs.comparing.ordered import ordered
from transfer.jobs.comparing.originals import Originals
from transfer.jobs.comparing.told import Expected, Implied, Refused
from transfer.jobs.import_.arrival import Arrival, receive
from transfer.jobs.import_.health import EndpointHealth, StoreLostError
from transfer.jobs.import_.options import ImportOptions
from transfer.jobs.verify.findings import Finding as Defect
from transfer.stores.contract import ListedObject, Store


class SigningKey(Protocol):
    """A key at hand, as `transfer.device.signing_key` loads it."""

    def sign(self, message: bytes, namespace: str) -> bytes:
        """The armored signature (SSHSIG) of a message."""


@dataclass
class Certified:
    """What came of it.

    Attributes:
        certificate: None where none was written.
        tally: of the entries.
        other_objects: under the prefix, and of no entry.
        symlinks_left_out: as asked.
        defects: what is wrong with the device, though its manifest is whole.
        blake3: of the certificate's exact bytes; empty where none was written.
        older_versions: of keys, and delete markers, which nobody looked for.
    """

    certificate: Certificate | None
    tally: Tally
    other_objects: int
    symlinks_left_out: int
    defects: list[Defect]
    blake3: str = ""
    older_versions: int = 0


@dataclass
class Certify:
    """One certificate.

    Args:
        root: of the device.
        store: the bucket.
        options: as of the import: bucket, prefix, endpoint, symlinks, limits, keys, signers, requests.
        signer: signs it; None: nothing is written, as with `path`.
        path: where it is written; None: it is only looked, what would be certified.
        download: read the objects of which the store has no checksum.
        allow_partial: write it although entries are missing, which are then named in it.
        observe: told how far it is.
    """

    root: str
    store: Store
    options: ImportOptions
    signer: SigningKey | None
    path: str | None
    download: bool = False
    allow_partial: bool = False
    observe: Callable[[Progress], None] = lambda progress: None
    _tally: Tally = field(default_factory=Tally, init=False)
    _defects: list[Defect] = field(default_factory=list, init=False)

    async def run(self) -> Certified:
        """Carry it out.

        Raises:
            TransferError: device, bucket or disk fail; then there is no certificate.
        """
        started = timestamp()
        with ExitStack() as stack:
            output = stack.enter_context(Output(self.path)) if self.path is not None else None
            table = stack.enter_context(PathTable())
            arrival = await asyncio.to_thread(self._receive)
            originals = Originals(table)
            await asyncio.to_thread(originals.find, arrival.manifest)
            older = OlderVersions(whole_view(arrival.manifest))
            expectation = Expectation(
                iter(older), self.options, lambda path, record, spot: originals.of(path)
            )
            others = await self._compare(arrival, expectation, output)
            left = expectation.symlinks_left_out
            found = Certified(None, self._tally, others, left, self._defects, older_versions=older.count)
            is_enough = self.allow_partial or not self._tally.not_certified
            if output is None or self.signer is None or not is_enough:
                return found
            entries = await asyncio.to_thread(output.finish)
            certificate = self._certificate(arrival, expectation, started, found, entries)
            text = encode_certificate(certificate)
            signature = await asyncio.to_thread(self.signer.sign, text, NAMESPACE)
            await asyncio.to_thread(output.publish, text, signature)
        return replace(found, certificate=certificate, blake3=blake3(text).hexdigest())

    def _receive(self) -> Arrival:
        arrival = receive(self.root, False, self._defects.append, self.options.keys, self.options.signers)
        seal = arrival.files.seal
        if seal is None or len(arrival.manifest.headers) != len(seal.segments):
            raise IntegrityError(
                f"the manifest of {self.root} is not whole: {self._defects[0] if self._defects else ''}",
                remedy="run `transfer verify` for the whole picture; nothing can be certified of this device",
            )
        return arrival

    async def _compare(self, arrival: Arrival, expectation: Expectation, output: Output | None) -> int:
        """Look for everything; the number of objects that are of no entry."""
        headers = arrival.manifest.headers
        files, size = sum(one.entries for one in headers), sum(one.content_bytes for one in headers)
        health = EndpointHealth()
        examiner = Examiner(self.store, health, download=self.download)
        listing = Listing(self.store, self.options.prefix)

        async def begin(one: Expected | Refused) -> Coroutine[Any, Any, Line]:
            listed = await listing.find(one.key) if one.key else None
            return _line(one, listed, examiner)

        entries = (one for one in expectation if not isinstance(one, Implied))
        try:
            async with aclosing(ordered(entries, begin, self.options.requests)) as lines:
                async for line in lines:
                    if output is not None:
                        output.add(line)
                    self._tally.take(line)
                    self.observe(self._progress(line, files, size))
            await listing.finish()
        except StoreLostError as lost:
            raise lost.error from None
        finally:
            await listing.aclose()
        return listing.others

    def _progress(self, line: Line, files: int, size: int) -> Progress:
        tally = self._tally
        return Progress(
            "certify",
            files_done=tally.objects + tally.not_certified,
            bytes_done=tally.bytes,
            files_total=files,
            bytes_total=size,
            failures=tally.not_certified,
            current_path=line.path.encode(),
        )

    def _certificate(
        self,
        arrival: Arrival,
        expectation: Expectation,
        started: str,
        found: Certified,
        entries: EntriesFile,
    ) -> Certificate:
        identity, signed, tally = arrival.device.document, arrival.files.signed_by, self._tally
        seal = arrival.files.seal
        return Certificate(
            device_id=identity.device_id,
            job=identity.job,
            ordinal=identity.ordinal,
            generation=seal.generation if seal else 1,
            seal_blake3=arrival.seal_blake3,
            seal_signed_by=None
            if signed is None
            else SealSigner(key=signed.key, principal=signed.principal[:MAX_PRINCIPAL_CHARS]),
            endpoint=self.options.endpoint,
            bucket=self.options.bucket,
            prefix=self.options.prefix,
            started=started,
            finished=timestamp(),
            software=f"transfer {__version__}",
            complete=not (tally.not_certified or found.older_versions),
            objects=tally.objects,
            bytes=tally.bytes,
            evidence=tally.evidence,
            entries=entries,
            folders_implied=expectation.folders_implied,
            symlinks_left_out=expectation.symlinks_left_out,
            other_objects=found.other_objects,
            older_versions=found.older_versions or UNSET,
            not_certified=tally.not_certified,
            not_certified_first=tally.first,
        )


def _signer(signed: SignedBy | None) -> SealSigner | None:
    if signed is None:
        return None
    return SealSigner(key=signed.key, principal=signed.principal[:MAX_PRINCIPAL_CHARS])


async def _line(one: Expected | Refused, listed: ListedObject | None, examiner: Examiner) -> Line:
    if isinstance(one, Refused):
        return _not_certified(one.path, one.key, Finding(state=one.state, reason=one.reason))
    found = await examiner.examine(one.key, one.content, listed)
    if found.evidence is None:
        return _not_certified(one.path, one.key, found)
    there = found.info or listed  # a HEAD's ETag is that of what was proved, should it be replaced just now
    modified = there.last_modified if there else None
    return CertifiedObject(
        path=one.path.decode(),
        key=one.key,
        size_bytes=one.content.size_bytes,
        blake3=one.content.blake3,
        crc64nvme=one.content.crc64nvme,
        crc32c=one.content.crc32c,
        evidence=found.evidence,
        etag=there.etag[:MAX_TAG_CHARS] if there else "",
        modified=modified.isoformat() if modified else "",
        version_id=(found.info.version_id or "")[:MAX_TAG_CHARS] if found.info else "",
    )


def _not_certified(path: bytes, key: str, found: Finding) -> NotCertified:
    text, encoded = to_text(path)
    return NotCertified(
        path=text,
        path_base64=encoded,
        key=key,
        state=found.state or "unproved",
        reason=clipped(found.reason),
    )
