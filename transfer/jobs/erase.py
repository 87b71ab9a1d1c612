"""erase: destroy the keys of a device, remove its data, and write down that it was done (FORMAT.md §21).

The order, each step durable before the next, so that after a crash the same command goes on:

    RESERVE goes -> ERASED.json (begun) -> custody entry -> keys -> resume key of this host -> segments ->
    packs -> documents, SEAL.json last -> ERASED.json (done)

DEVICE.json, CUSTODY.jsonl and ERASED.json stay. Only what is the device's own is removed: the files in its
folders and its documents in the root; links are removed, never followed.

What it does not do: reach the medium. Files are unlinked, keys overwritten in place; what a flash drive, a
remapped sector, a journal or a snapshot still has of either, only the drive itself can erase. `LIMITS` says
so in the record.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
from blake3 import blake3

from transfer import __version__
from transfer.core.paths import display
from transfer.device.clock import timestamp
from transfer.device.custody import append_entry, read_log
from transfer.device.device import Device, open_device
from transfer.device.disk import device_errors, sync_directory, write_at
from transfer.device.erased import read_erasure, write_erasure
from transfer.device.layout import (
    CUSTODY_NAME,
    DEVICE_NAME,
    ERASED_NAME,
    FORMATTED_DISK_NAMES,
    KEYS,
    LOCK_NAME,
    PACKS,
    PARTIAL_SUFFIX,
    PREVIOUS_SEAL_NAME,
    RECOVERY_NAME,
    SCRIPT_NAME,
    SEAL_NAME,
    SEGMENTS,
    SIGNATURE_NAME,
)
from transfer.device.lock import locked
from transfer.device.reserve import remove_reserve
from transfer.errors import DeviceError, IntegrityError
from transfer.formats.custody import check_words
from transfer.formats.erasure import ErasedPart, Erasure
from transfer.jobs.certify.papers import Paper, open_entries

# The seal goes last: as long as it is there, it tells whose device this is and what a certificate is of.
_DOCUMENTS = (RECOVERY_NAME, SCRIPT_NAME, PREVIOUS_SEAL_NAME, SIGNATURE_NAME, SEAL_NAME)
_STAY = frozenset({DEVICE_NAME, CUSTODY_NAME, ERASED_NAME, LOCK_NAME}) | FORMATTED_DISK_NAMES
_MAX_OVERWRITTEN_BYTES = 16 << 20  # of one file of keys; no key is nearly that large
_MAX_LEFT = 100

PLAIN_LIMITS = (
    "The files were removed, not overwritten: their content is on the medium until it is written over.",
    "This is less than Clear of NIST SP 800-88 Rev. 2, which reaches all storage that users can address.",
    "Flash and remapped sectors keep copies that no file system reaches; only the drive can erase those.",
)
ENCRYPTED_LIMITS = (
    "The device's key was overwritten in place and removed; flash, journals and snapshots may keep a copy.",
    "What is left of packs and segments opens with any copy of that key, and the identities it was encrypted "
    "to are at the destination: other copies of keys/job.age, of whoever copied the device, open it still.",
    "It is Purge by cryptographic erase (NIST SP 800-88 Rev. 2) only where every copy of the key was under "
    "control and is destroyed too; whether that is so, no program can say.",
)


@dataclass
class Erased:
    """What was done.

    Attributes:
        record: as ERASED.json has it; of a dry run as it would begin.
        already: it was done before; nothing was done now.
        notes: what a person should know.
    """

    record: Erasure
    already: bool = False
    notes: list[str] = field(default_factory=list)


def erase(
    root: str, paper: Paper | None, *, who: str = "", dry_run: bool = False, state_directory: str = ""
) -> Erased:
    """Erase a device, or go on with it.

    Args:
        root: the device.
        paper: the certificate upon which it is done; None: without one.
        who: who answers for it.
        dry_run: check everything, write nothing.
        state_directory: where this host's resume identities are.

    Raises:
        UsageError: `who` is impossible, or the certificate's companion is not there.
        IntegrityError: the certificate is of another device or seal, or not of all of it.
        DeviceError: there is no device, or it cannot be written.
        LockedError: another process works on it.
    """
    check_words(who, "")
    device = open_device(root, even_erased=True)
    if dry_run:
        return _begin(device, paper, who)
    with locked(device.layout, "erase"), device_errors(root):
        erased = _begin(device, paper, who)
        if not erased.already:
            _carry_out(device, erased, state_directory)
    return erased


def _begin(device: Device, paper: Paper | None, who: str) -> Erased:
    """What is to be done, and whether it may be."""
    earlier = read_erasure(device)
    if earlier is not None and earlier.state == "done":
        return Erased(earlier, already=True)
    seal_blake3 = _seal_blake3(device)
    if seal_blake3 is None and earlier is not None:
        seal_blake3 = earlier.seal_blake3
    if paper is not None:
        _check_certificate(device, paper, seal_blake3)
    record = earlier or _new_record(device, seal_blake3, paper, who)
    return Erased(record)


def _seal_blake3(device: Device) -> str | None:
    """The digest of a seal that can be read; a device that is broken is erased all the same."""
    try:
        return blake3(device.seal_text()).hexdigest() if device.is_sealed else None
    except DeviceError:
        return None


def _check_certificate(device: Device, paper: Paper, seal_blake3: str | None) -> None:
    told, root = paper.certificate, device.root
    if told.device_id != device.document.device_id:
        raise IntegrityError(f"{paper.path} certifies another device than {root}", remedy=_OTHER)
    if told.seal_blake3 != seal_blake3:
        what = f"{paper.path} certifies another seal than that of {root}: it was filled and sealed anew"
        raise IntegrityError(what if seal_blake3 else f"device {root} is not sealed", remedy=_OTHER)
    if not told.complete:
        older = told.older_versions or 0
        raise IntegrityError(
            f"{paper.path} does not certify {told.not_certified + older:,} entries of {root}"
            + (f", {older:,} of them older versions of objects" if older else ""),
            remedy="see to these entries and certify again, or say --without-certificate",
        )
    with open_entries(paper):
        pass  # the companion is the one that was signed: without it nobody could check anything later


_OTHER = "make one of this device with `transfer certify`, or say --without-certificate"


def _new_record(device: Device, seal_blake3: str | None, paper: Paper | None, who: str) -> Erasure:
    identity = device.document
    return Erasure(
        state="begun",
        device_id=identity.device_id,
        job=identity.job,
        ordinal=identity.ordinal,
        begun=timestamp(),
        finished="",
        who=who,
        host="".join(c for c in socket.gethostname() if c.isprintable())[:255],
        software=f"transfer {__version__}",
        generation=_generation(device),
        seal_blake3=seal_blake3,
        certificate_blake3=paper.blake3 if paper is not None else None,
        encrypted=identity.is_encrypted,
        resume_key_destroyed=False,
        parts=_parts(device),
        left=[],
        limits=list(ENCRYPTED_LIMITS if identity.is_encrypted else PLAIN_LIMITS),
    )


def _generation(device: Device) -> int | None:
    try:
        return device.seal().generation if device.is_sealed else None
    except (IntegrityError, DeviceError):
        return None


def _parts(device: Device) -> list[ErasedPart]:
    at = device.layout.at
    parts = []
    with device_errors(device.root):
        for part in (KEYS, SEGMENTS, PACKS):
            sizes = _sizes(at(part))
            method = "overwritten-and-removed" if part == KEYS else "removed"
            parts.append(
                msgspec.convert(
                    {"part": part, "files": len(sizes), "bytes": sum(sizes), "method": method}, ErasedPart
                )
            )
        found = [os.lstat(at(name)).st_size for name in _DOCUMENTS if os.path.lexists(at(name))]
    parts.append(ErasedPart(part="documents", files=len(found), bytes=sum(found), method="removed"))
    return parts


def _sizes(folder: str) -> list[int]:
    with _opened(folder) as descriptor:
        if descriptor is None:
            return []
        names = os.listdir(descriptor)
        found = [os.stat(name, dir_fd=descriptor, follow_symlinks=False) for name in names]
        return [status.st_size for status in found if not stat.S_ISDIR(status.st_mode)]


def _carry_out(device: Device, erased: Erased, state_directory: str) -> None:
    layout = device.layout
    remove_reserve(device)  # it holds nothing, and a full disk has no other room for the record
    write_erasure(layout, erased.record)
    _tell_custody(device, erased)
    left: list[str] = []
    _clear(layout.at(KEYS), KEYS, left, overwrite=True)
    if _forget_resume_key(device, state_directory):
        erased.record = msgspec.structs.replace(erased.record, resume_key_destroyed=True)
        write_erasure(layout, erased.record)
    _clear(layout.segments, SEGMENTS, left)
    _clear(layout.packs, PACKS, left)
    for name in _DOCUMENTS:
        for path in (layout.at(name + PARTIAL_SUFFIX), layout.at(name)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
    sync_directory(layout.root)
    own = {KEYS, SEGMENTS, PACKS}
    left += [_shown(name) for name in sorted(set(os.listdir(layout.root)) - _STAY - own)]
    erased.record = msgspec.structs.replace(
        erased.record, state="done", finished=timestamp(), left=left[:_MAX_LEFT]
    )
    write_erasure(layout, erased.record)


def _tell_custody(device: Device, erased: Erased) -> None:
    """The entry is written once, however often it is begun; a log that is broken already stays as it is."""
    record = erased.record
    grounds = record.certificate_blake3
    note = f"upon certificate {grounds}" if grounds else "without a certificate, as asked for"
    try:
        entries = read_log(device.layout).entries
        if not entries or entries[-1].event != "erased":
            append_entry(
                device.layout, "erased", who=record.who, seal_blake3=record.seal_blake3 or "", note=note
            )
    except IntegrityError as error:
        erased.notes.append(f"the custody log tells nothing of this: {error.what}")


def _forget_resume_key(device: Device, state_directory: str) -> bool:
    if not device.document.is_encrypted or not state_directory:
        return False
    from transfer.device.resume_key import destroy  # noqa: PLC0415  (start-up time)

    return destroy(state_directory, device.document.device_id)


def _clear(folder: str, name: str, left: list[str], *, overwrite: bool = False) -> None:
    """Remove the files of a folder, and it; what is a folder itself is left, and told."""
    with _opened(folder) as descriptor:
        if descriptor is None:
            if os.path.lexists(folder):
                left.append(name)
            return
        for inner in os.listdir(descriptor):
            if stat.S_ISDIR(os.stat(inner, dir_fd=descriptor, follow_symlinks=False).st_mode):
                left.append(_shown(f"{name}/{inner}"))
                continue
            if overwrite:
                _overwrite(inner, descriptor)
            os.unlink(inner, dir_fd=descriptor)
        os.fsync(descriptor)
    with contextlib.suppress(OSError):
        os.rmdir(folder)


def _overwrite(name: str, folder: int) -> None:
    """Zeros over a file's content, in place and durable, as far as a program can."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        return
    descriptor = os.open(name, flags, dir_fd=folder)
    try:
        write_at(descriptor, bytes(min(os.fstat(descriptor).st_size, _MAX_OVERWRITTEN_BYTES)), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _opened(folder: str) -> Iterator[int | None]:
    """A descriptor of a folder; None where it is none: a link could lead off the device."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _shown(name: str) -> str:
    return display(os.fsencode(name))[:1024]
