"""The resume key: what lets the source host go on with an encrypted device before it is sealed.

It is an age identity that reads the segments of one device, no pack, and lies on the host in
`STATE/resume/DEVICE_ID.key` (folder 0700, file 0600), never on the device. Sealing destroys it: from then on
the source host can read no more of the device than any thief of it.

Destroying means: overwritten with zeros, synced, unlinked, the folder synced. That is all a program can do,
and it proves nothing where a file's old blocks live on: on flash (which writes elsewhere), on copy-on-write
and journalling file systems, in snapshots and backups of the state directory. What a resume key opens, in the
worst case, is the list of what is on the device (names, sizes, digests), never its content.

Does not: know where the state directory is.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

from transfer.device.disk import sync_directory, write_at, write_durably
from transfer.device.key_files import SECRET_MODE, read_secret_file
from transfer.device.layout import PARTIAL_SUFFIX
from transfer.errors import AccessError, FormatError, TransferError, UsageError

if TYPE_CHECKING:
    from transfer.formats.age.keys import Identity

_FOLDER = "resume"
_FOLDER_MODE = 0o700
_MAX_BYTES = 4096
_JOB = "# its packs are encrypted to "
_DEVICE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def keep(state_dir: str, device_id: str, identity: Identity, *, job: str = "") -> None:
    """Keep the resume identity of a device. Durable; replaces one that was there.

    Args:
        state_dir: it need not exist.
        device_id: as in DEVICE.json.
        identity: the secret.
        job: to whom the device's packs are encrypted; what DEVICE.json says of it anybody could change.

    Raises:
        TransferError: the disk refused.
    """
    path = _path(state_dir, device_id)
    folder = os.path.dirname(path)
    try:
        os.makedirs(state_dir, mode=_FOLDER_MODE, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, _FOLDER_MODE)
            sync_directory(state_dir)
        note = f"{_JOB}{job}\n" if job else ""
        write_durably(path, f"{identity.text}\n{note}".encode(), mode=SECRET_MODE)
    except OSError as error:
        raise _failed(path, "kept", error) from None


def find(state_dir: str, device_id: str) -> Identity | None:
    """The resume identity of a device; None where this host has none.

    Raises:
        AccessError: it cannot be read, or others can read or write it.
        UsageError: the file is no age identity.
    """
    path = _path(state_dir, device_id)
    if not os.path.lexists(path):
        return None
    from transfer.formats.age.keys import Identity  # noqa: PLC0415  (start-up time)

    text, _ = _read(path)
    if text and not text.strip("\0"):  # to destroy it was interrupted, between overwriting and unlinking
        return None
    try:
        return Identity.parse(text)
    except TransferError:
        what = f"resume key {path} is damaged"
        remedy = "restore the file from a backup of the state directory, or prepare another device"
        raise UsageError(what, remedy=remedy) from None


def find_job(state_dir: str, device_id: str) -> str:
    """To whom the packs of a device are to be encrypted, as this host was told; empty where it was not.

    Raises:
        AccessError: as `find`.
    """
    path = _path(state_dir, device_id)
    return _read(path)[1] if os.path.lexists(path) else ""


def _read(path: str) -> tuple[str, str]:
    """What should be the identity, and the note behind it."""
    text = read_secret_file(path, "resume key", limit_bytes=_MAX_BYTES).decode("ascii", "replace")
    identity, mark, job = text.partition(f"\n{_JOB}")
    return identity.strip(), job.strip() if mark else ""


def destroy(state_dir: str, device_id: str) -> bool:
    """Destroy the resume identity of a device, as far as a program can; see the module. Durable.

    Returns:
        Whether there was one.

    Raises:
        AccessError: it is another user's.
        TransferError: it is a link, or the disk refused: the key may still be there.
    """
    path = _path(state_dir, device_id)
    found = False
    for name in (path + PARTIAL_SUFFIX, path):  # a crash of `keep` may have left the first
        try:
            found = _overwrite_and_unlink(name) or found
        except OSError as error:
            raise _failed(name, "destroyed", error) from None
    return found


def _overwrite_and_unlink(path: str) -> bool:
    try:
        # O_NOFOLLOW: nobody can turn our zeros on another file of the user's by a link.
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        write_at(descriptor, bytes(os.fstat(descriptor).st_size), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.unlink(path)
    sync_directory(os.path.dirname(path))
    return True


def _path(state_dir: str, device_id: str) -> str:
    if not _DEVICE_ID.fullmatch(device_id):  # it comes from a device, and becomes part of a path here
        raise FormatError(f"{device_id[:80]!r} is not the id of a device")
    return os.path.join(state_dir, _FOLDER, f"{device_id}.key")


def _failed(path: str, verb: str, error: OSError) -> TransferError:
    what = f"resume key {path} cannot be {verb}: {error.strerror}"
    if isinstance(error, PermissionError):
        return AccessError(what, remedy="give the command as the user who prepared the device")
    return TransferError(what, remedy="look at the state directory and its disk")
