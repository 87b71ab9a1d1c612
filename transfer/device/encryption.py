"""Encrypted devices (FORMAT.md §18): to whom they are written, and what opens them here.

On the source host packs can be written and not read; segments can be read with the resume identity, which the
host holds until the seal. At the destination the job identity, which keys/job.age holds for its recipients,
opens all. A device that nothing here opens is still a device: its stored bytes can be verified against its
seal, and carried.

What concerns encryption alone is imported where it is needed: most devices are not encrypted, and commands
start faster without it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from msgspec import UnsetType

from transfer.device.device import Device, read_regular
from transfer.device.disk import device_errors
from transfer.device.layout import DEVICE_NAME, JOB_KEY_NAME
from transfer.errors import AccessError, DeviceError, FormatError, IntegrityError
from transfer.formats.documents import DeviceDocument

if TYPE_CHECKING:
    from transfer.device.identities import Holder
    from transfer.formats.age.keys import Identity, Recipient


@dataclass(frozen=True)
class Keys:
    """What may open encrypted devices here.

    Attributes:
        holders: what may open keys/job.age.
        state_directory: where resume identities are kept; empty: nowhere.
    """

    holders: Sequence[Holder] = ()
    state_directory: str = ""


NO_KEYS = Keys()
_ERASED = "it was erased, or the copy of it is not whole; ask the sender"


def recipients_of(document: DeviceDocument) -> tuple[list[Recipient], list[Recipient]]:
    """Whom packs and segments are encrypted to; nobody, where the device is not encrypted."""
    if isinstance(document.recipients, UnsetType):
        return [], []
    from transfer.formats.age.keys import Recipient  # noqa: PLC0415  (start-up time)

    job, resume = Recipient.parse(document.recipients.job), Recipient.parse(document.recipients.resume)
    return [job], [job, resume]


def unlocked(device: Device, keys: Keys) -> Device:
    """The device with the identities that open it, as far as there are any.

    Raises:
        AccessError: identities were given, and none of them opens it.
        IntegrityError: keys/job.age is damaged, or has another identity than DEVICE.json says; or that was
            changed since the device was prepared on this host.
        DeviceError: keys/job.age cannot be read.
    """
    if not device.document.is_encrypted:
        _refuse_if_it_was_encrypted(device, keys)
        return device
    found = [_job_identity(device, keys.holders)] if keys.holders else _resume_identity(device, keys)
    return replace(device, identities=tuple(found))


def require_open(device: Device) -> None:
    """Raise AccessError when the device is encrypted and nothing here opens it."""
    if device.is_locked:
        what = f"device {device.root} is encrypted, and no key was given that opens it"
        raise AccessError(what, remedy="give the destination's identity: --identity FILE")


def require_resume_key(device: Device) -> None:
    """Raise AccessError when the device is encrypted and this host does not hold its resume identity."""
    if device.is_locked:
        what = f"device {device.root} is encrypted, and this host does not hold the key to go on with it"
        remedy = "copy and seal on the host that prepared it, or prepare another device here"
        raise AccessError(what, remedy=remedy)


@contextlib.contextmanager
def for_this_device() -> Iterator[None]:
    """A file that the identities of its own device do not open belongs to another: a FormatError."""
    try:
        yield
    except AccessError:
        what = f"it is encrypted to others than {DEVICE_NAME} says"
        raise FormatError(what, remedy="do not trust this device") from None


def _job_identity(device: Device, holders: Sequence[Holder]) -> Identity:
    from transfer.device.job_key import MAX_JOB_KEY_BYTES, unlock_job_key  # noqa: PLC0415  (start-up time)

    path = device.layout.at(JOB_KEY_NAME)
    with device_errors(device.root):
        if not os.path.lexists(path):
            raise DeviceError(f"device {device.root} has no {JOB_KEY_NAME}: nothing opens it", remedy=_ERASED)
        stored = read_regular(path, MAX_JOB_KEY_BYTES)
    identity = unlock_job_key(stored, holders)
    told = device.document.recipients
    if isinstance(told, UnsetType) or identity.recipient.text != told.job:
        what = f"{JOB_KEY_NAME} of {device.root} holds another identity than {DEVICE_NAME} names"
        raise IntegrityError(what, remedy="do not trust this device")
    return identity


def _resume_identity(device: Device, keys: Keys) -> list[Identity]:
    if not keys.state_directory:
        return []
    from transfer.device.resume_key import find, find_job  # noqa: PLC0415  (start-up time)

    device_id, told = device.document.device_id, device.document.recipients
    identity, job = find(keys.state_directory, device_id), find_job(keys.state_directory, device_id)
    if identity is None or isinstance(told, UnsetType):
        return []
    if told.resume != identity.recipient.text or job not in (told.job, ""):
        raise _changed(device)
    return [identity]


def _refuse_if_it_was_encrypted(device: Device, keys: Keys) -> None:
    """DEVICE.json lies on the device: whoever had it in hand may have had this host write in the clear."""
    if keys.state_directory:
        from transfer.device.resume_key import find_job  # noqa: PLC0415  (start-up time)

        if find_job(keys.state_directory, device.document.device_id):
            raise _changed(device)


def _changed(device: Device) -> IntegrityError:
    what = f"{DEVICE_NAME} of {device.root} names other recipients than when it was prepared here"
    return IntegrityError(what, remedy="somebody changed it: write nothing to it, prepare another device")
