"""prepare: make an empty folder or disk into a device of a job (FORMAT.md §4, §6)."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from transfer import __version__
from transfer.core.sizes import format_size
from transfer.device.clock import timestamp
from transfer.device.custody import append_entry
from transfer.device.device import Device
from transfer.device.disk import device_errors, sync_directory, write_durably
from transfer.device.layout import (
    CUSTODY_NAME,
    DEVICE_NAME,
    ERASED_NAME,
    FORMATTED_DISK_NAMES,
    JOB_KEY_NAME,
    KEYS,
    PACKS,
    PARTIAL_SUFFIX,
    RECOVERY_NAME,
    SCRIPT_NAME,
    SEGMENTS,
    Layout,
)
from transfer.device.recovery import recover_script, recovery_text
from transfer.errors import DeviceError, DeviceFullError, UsageError
from transfer.formats.documents import DeviceDocument, Recipients, check_job, encode
from transfer.formats.profile import DeviceProfile

if TYPE_CHECKING:
    from transfer.core.unlock_code import UnlockCode
    from transfer.device.recipients import DestinationKey

_LEAST_PART = 0.9
"""A disk with less room than this part of its profile's capacity is another disk, or none: an empty mount
point."""


@dataclass(frozen=True)
class Prepared:
    """What prepare found and made."""

    device: Device
    free_bytes: int
    usable_bytes: int


def prepare(
    root: str,
    profile: DeviceProfile,
    job: str,
    *,
    ordinal: int = 1,
    capacity_bytes: int | None = None,
    who: str = "",
    dry_run: bool = False,
    locked_for: Sequence[DestinationKey] | UnlockCode = (),
    state_directory: str = "",
) -> Prepared:
    """Make `root` a device.

    Args:
        root: an empty folder or freshly formatted disk.
        profile: what kind of device it is.
        job: name of the job.
        ordinal: which device of the job.
        capacity_bytes: what may be stored, instead of the profile's capacity.
        who: who answers for it, for the custody log.
        dry_run: check everything, write nothing.
        locked_for: who is to open it at the destination; nobody: it is not encrypted.
        state_directory: where the resume identity of an encrypted device is kept until the seal.

    Raises:
        UsageError: the job's name is impossible, or the capacity too small.
        DeviceError: the folder is missing, not empty, a device already, cannot be written, or is no disk of
            the profile's kind.
        DeviceFullError: there is less room free than one pack and the reserve take.
    """
    check_job(job)
    _refuse_unless_empty(root)
    total, free = _room(root)
    capacity = profile.capacity_bytes if capacity_bytes is None else capacity_bytes
    if capacity is not None and free < capacity * _LEAST_PART:
        raise DeviceError(
            f"{root} has {format_size(free)} free, profile {profile.name} expects {format_size(capacity)}",
            remedy="check that the right disk is mounted there, choose another profile, or say --capacity",
        )
    room = total if capacity is None else min(capacity, total)
    document = _document(profile, job, ordinal, capacity, profile.reserve_of(room))
    usable = (free if capacity is None else min(free, capacity)) - document.reserve_bytes
    _refuse_if_too_small(root, document, free, usable)
    job_key = b""
    if locked_for:
        job_key, document = _encrypted(document, locked_for, "" if dry_run else state_directory)
    layout = Layout(root, is_encrypted=document.is_encrypted)
    with device_errors(root):
        if dry_run:
            _refuse_unless_writable(root)
        else:
            _write(layout, document, job_key)
            append_entry(layout, "prepared", who=who)
    return Prepared(Device(layout, document), free, usable)


def _refuse_unless_empty(root: str) -> None:
    if not os.path.isdir(root):
        problem = "is not a folder" if os.path.exists(root) else "does not exist"
        raise DeviceError(f"{root} {problem}", remedy="mount the disk or make the folder first")
    with device_errors(root):
        names = set(os.listdir(root)) - FORMATTED_DISK_NAMES
        unfinished = _is_unfinished(root, names)
    if DEVICE_NAME in names and ERASED_NAME in names:
        remedy = f"keep {ERASED_NAME} and {CUSTODY_NAME} elsewhere, then delete what is left in the folder"
        raise DeviceError(f"{root} is a device that was erased, with its records", remedy=remedy)
    if DEVICE_NAME in names:
        remedy = "use it with `transfer copy`, or choose an empty folder"
        raise DeviceError(f"{root} is a device already", remedy=remedy)
    if names and not unfinished:
        what = f"{root} is not empty: it holds {min(names)!r}"
        raise DeviceError(what, remedy="choose an empty folder or disk")


def _is_unfinished(root: str, names: set[str]) -> bool:
    """Whether all that is there is what an interrupted prepare leaves: it may begin anew."""
    ours = {PACKS, SEGMENTS, KEYS, RECOVERY_NAME, SCRIPT_NAME}
    ours |= {name + PARTIAL_SUFFIX for name in (RECOVERY_NAME, SCRIPT_NAME, DEVICE_NAME)}
    keys = {os.path.basename(name) for name in (JOB_KEY_NAME, JOB_KEY_NAME + PARTIAL_SUFFIX)}
    holds = {PACKS: set[str](), SEGMENTS: set[str](), KEYS: keys}
    folders = [(os.path.join(root, name), holds[name]) for name in names & holds.keys()]
    return (
        PACKS in names
        and names <= ours
        and not any(os.path.islink(folder) or set(os.listdir(folder)) - held for folder, held in folders)
    )


def _refuse_if_too_small(root: str, document: DeviceDocument, free_bytes: int, usable_bytes: int) -> None:
    least = document.pack_size_bytes + document.reserve_bytes
    if usable_bytes >= document.pack_size_bytes:
        return
    if document.capacity_bytes is not None and document.capacity_bytes < least:
        raise UsageError(
            f"a capacity of {format_size(document.capacity_bytes)} is too small for {document.profile}",
            remedy=f"it needs {format_size(least)} at the least: one pack and the reserve",
        )
    raise DeviceFullError(
        f"{root} has {format_size(free_bytes)} free; profile {document.profile} needs {format_size(least)}",
        remedy="free some room, or choose a profile with smaller packs",
    )


def _room(root: str) -> tuple[int, int]:
    """Bytes of the whole file system, and those that are free for this user."""
    with device_errors(root):
        status = os.statvfs(root)
    return status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize


def _refuse_unless_writable(root: str) -> None:
    if not os.access(root, os.W_OK):
        raise OSError(
            errno.EROFS if os.statvfs(root).f_flag & os.ST_RDONLY else errno.EACCES, "cannot be written", root
        )


def _document(
    profile: DeviceProfile, job: str, ordinal: int, capacity_bytes: int | None, reserve_bytes: int
) -> DeviceDocument:
    return DeviceDocument(
        device_id=str(uuid.uuid4()),
        job=job,
        ordinal=ordinal,
        created=timestamp(),
        software=f"transfer {__version__}",
        profile=profile.name,
        capacity_bytes=capacity_bytes,
        reserve_bytes=reserve_bytes,
        pack_size_bytes=profile.pack.pack_size_bytes,
        chunk_size_bytes=profile.pack.chunk_size_bytes,
        batch_size_bytes=profile.pack.batch_size_bytes,
        batch_entries=profile.pack.batch_entries,
        max_entries=profile.pack.max_entries,
        level=profile.level,
        read_bytes_per_s=profile.read_bytes_s,
        write_bytes_per_s=profile.write_bytes_s,
    )


def _encrypted(
    document: DeviceDocument, locked_for: Sequence[DestinationKey] | UnlockCode, state_directory: str
) -> tuple[bytes, DeviceDocument]:
    """What keys/job.age holds, and the document with the recipients; the resume identity is kept.

    The job's identity is in no other place: with it this host could read what it writes.
    """
    from transfer.device.job_key import lock_job_key  # noqa: PLC0415  (start-up time)
    from transfer.device.resume_key import keep  # noqa: PLC0415
    from transfer.formats.age.keys import Identity  # noqa: PLC0415

    job, resume = Identity.generate(), Identity.generate()
    stored = lock_job_key(job, locked_for)
    if state_directory:
        keep(state_directory, document.device_id, resume, job=job.recipient.text)
    recipients = Recipients(job=job.recipient.text, resume=resume.recipient.text)
    return stored, msgspec.structs.replace(document, recipients=recipients)


def _write(layout: Layout, document: DeviceDocument, job_key: bytes) -> None:
    """FORMAT.md §13: DEVICE.json comes last, its name makes the device."""
    os.makedirs(layout.packs, exist_ok=True)
    os.makedirs(layout.segments, exist_ok=True)
    _drop_old_keys(layout)
    if job_key:
        os.makedirs(layout.at(KEYS), exist_ok=True)
        write_durably(layout.at(JOB_KEY_NAME), job_key)
    text = recovery_text(document.job, document.device_id, document.created, encrypted=bool(job_key))
    write_durably(layout.at(RECOVERY_NAME), text)
    write_durably(layout.at(SCRIPT_NAME), recover_script(), mode=0o755)
    write_durably(layout.at(DEVICE_NAME), encode(document))
    sync_directory(layout.root)


def _drop_old_keys(layout: Layout) -> None:
    """What an interrupted prepare left: a device that is not encrypted must not look as if it were."""
    folder = layout.at(KEYS)
    if os.path.isdir(folder):
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)
