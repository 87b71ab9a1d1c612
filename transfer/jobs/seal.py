"""seal: close a device with the list of everything on it (FORMAT.md §12), signed where a key is given.

What is signed is made before anything is written: a key that fails leaves the device open. Written are, each
durably before the next: the seal, its signature, and that there is no previous seal any more. So a signature
is only ever beside the seal that it is of; a device whose sealing ended in between is sealed, and not signed
yet (`sign` adds that).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blake3 import blake3
from msgspec import UNSET

from transfer import __version__
from transfer.core.records import Failed, Header, Skipped
from transfer.device.clock import timestamp
from transfer.device.custody import append_entry, read_log
from transfer.device.device import Device, open_device
from transfer.device.disk import device_errors, write_durably
from transfer.device.encryption import Keys, require_resume_key, unlocked
from transfer.device.layout import SEAL_NAME, sealed_names
from transfer.device.lock import locked
from transfer.device.manifest import Manifest, open_regular, segment_records
from transfer.device.previous_seal import forget_previous, read_previous
from transfer.device.reserve import remove_reserve
from transfer.device.signature import remove_signature, write_signature
from transfer.errors import DeviceError, IntegrityError
from transfer.formats.custody import Head
from transfer.formats.documents import SealDocument, SealedFile, SetDevice, Totals, encode
from transfer.formats.sshsig import SEAL_NAMESPACE
from transfer.jobs.filling.memory import SetMember, recall, remember
from transfer.jobs.filling.resume import find_resume_point

if TYPE_CHECKING:
    from transfer.device.signing_key import Signer


@dataclass(frozen=True)
class Sealed:
    """The seal, and the digest of its exact bytes; `custody` is the head of the custody log behind it.

    `totals` are those of the device, which the seal of an encrypted one does not tell.
    """

    document: SealDocument
    blake3: str
    totals: Totals
    custody: Head | None = None

    @property
    def is_encrypted(self) -> bool:
        """Whether this host cannot read the device any more."""
        return self.document.totals is UNSET


def seal(
    root: str,
    *,
    allow_incomplete: bool = False,
    who: str = "",
    signer: Signer | None = None,
    dry_run: bool = False,
    state_directory: str = "",
) -> Sealed:
    """Seal a device; this host can then not read it any more, where it is encrypted.

    Args:
        root: the device.
        allow_incomplete: seal even when the last copy did not end.
        who: who answers for it, for the custody log.
        signer: signs seal and entry of the log.
        dry_run: check and compute, write nothing.
        state_directory: where the resume identity of an encrypted device is, which is destroyed.

    Raises:
        DeviceError: it is sealed already, incomplete, or lacks a file.
        AccessError: it is encrypted, and its resume identity is not here.
        IntegrityError: its manifest is damaged, or a pack has another size than its segment says.
        TransferError: the key does not sign.
        LockedError: a copy is at work.
    """
    device = open_device(root)
    if device.is_sealed and not dry_run:
        forget_resume_key(device, state_directory)  # a seal may have been interrupted before it did
    device.refuse_if_sealed()
    device = unlocked(device, Keys(state_directory=state_directory))
    require_resume_key(device)
    with locked(device.layout, "seal"):
        device.refuse_if_sealed()
        read_log(device.layout)  # to a broken one nothing can be added: better said before the seal is there
        custody: Head | None = None
        point = find_resume_point(device, clean=not dry_run)
        if point.is_open and not allow_incomplete:
            raise DeviceError(
                f"the last copy to {root} did not end",
                remedy="give the same copy command again, or say --incomplete",
            )
        with device_errors(root):
            memory = recall(state_directory, device.document.job)
            others = memory.last_of_all(device.document.device_id)
            document, totals = _document(device, point.manifest, others, complete=not point.is_open)
            text = encode(document)
            if not dry_run:
                _write(device, text, signer)
                if memory.put_seal(device.document.device_id, blake3(text).hexdigest()):
                    remember(state_directory, memory)
                forget_resume_key(device, state_directory)
                custody = append_entry(device.layout, "sealed", who=who, signer=signer)
    return Sealed(document, blake3(text).hexdigest(), totals, custody)


def _write(device: Device, text: bytes, signer: Signer | None) -> None:
    armored = None if signer is None else signer.sign(text, SEAL_NAMESPACE)
    layout = device.layout
    remove_reserve(device)
    remove_signature(layout)  # of a seal before
    write_durably(layout.at(SEAL_NAME), text)
    if armored is not None:
        write_signature(layout, armored)
    forget_previous(layout)


def forget_resume_key(device: Device, state_directory: str) -> None:
    """Destroy the resume identity of an encrypted device, where this host still has it.

    Raises:
        TransferError: it cannot be removed.
    """
    if device.document.is_encrypted and state_directory:
        from transfer.device.resume_key import destroy  # noqa: PLC0415  (start-up time)

        destroy(state_directory, device.document.device_id)


def _document(
    device: Device, manifest: Manifest, members: Sequence[SetMember], *, complete: bool
) -> tuple[SealDocument, Totals]:
    layout, identity = device.layout, device.document
    others = [stored(layout.at(name), name) for name in sealed_names(layout)]
    packs = [_pack(device, header) for header in manifest.headers]
    segments = [
        stored(layout.segment(header.sequence), layout.segment_name(header.sequence))
        for header in manifest.headers
    ]
    totals = _totals(device, manifest, sum(file.size_bytes for file in (*packs, *segments)))
    previous = read_previous(device)
    document = SealDocument(
        device_id=identity.device_id,
        job=identity.job,
        ordinal=identity.ordinal,
        generation=previous[0].generation + 1 if previous else 1,
        previous_seal=previous[1] if previous else UNSET,
        sealed=timestamp(),
        software=f"transfer {__version__}",
        complete=complete,
        files=others,
        packs=packs,
        segments=segments,
        totals=UNSET if layout.is_encrypted else totals,
        devices=[_listed(member) for member in members] or UNSET,
    )
    return document, totals


def _listed(member: SetMember) -> SetDevice:
    known = member.seal_blake3
    return SetDevice(
        ordinal=member.ordinal, device_id=member.device_id, seal_blake3=known if known else UNSET
    )


def _pack(device: Device, header: Header) -> SealedFile:
    """A pack as its segment recorded it when it was written; reading it all again is what verify is for."""
    name = device.layout.pack_name(header.sequence)
    size = os.stat(device.layout.pack(header.sequence)).st_size
    if size != header.pack_size_bytes:
        raise IntegrityError(
            f"pack {name} has {size} bytes, its segment says {header.pack_size_bytes}",
            remedy="run `transfer verify`, and copy to another device",
        )
    return SealedFile(name, header.pack_size_bytes, header.pack_blake3)


def stored(path: str, name: str) -> SealedFile:
    """A file as a seal lists it.

    Raises:
        OSError: it cannot be read.
    """
    hasher, size = blake3(), 0
    with open_regular(path) as file:
        while block := file.read(1 << 20):
            hasher.update(block)
            size += len(block)
    return SealedFile(name, size, hasher.hexdigest())


def _totals(device: Device, manifest: Manifest, stored_bytes: int) -> Totals:
    """Sums of all segments; reading them proves that they are whole before they are sealed."""
    failed = skipped = 0
    for header in manifest.headers:
        for block in segment_records(device, header.sequence):
            failed += sum(isinstance(record, Failed) for record in block)
            skipped += sum(isinstance(record, Skipped) for record in block)
    return Totals(
        entries=sum(header.entries for header in manifest.headers),
        content_bytes=sum(header.content_bytes for header in manifest.headers),
        stored_bytes=stored_bytes,
        failed=failed,
        skipped=skipped,
    )
