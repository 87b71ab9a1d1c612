"""What this host remembers of a job: its devices, and which part of the source each has. So devices can be
added on other days, without the earlier ones.

It lies in `STATE/jobs/JOB.json` and is a convenience: where it is lost, the devices themselves tell as much,
if they are named together.
"""

from __future__ import annotations

import contextlib
import os
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from transfer.core.paths import from_text, to_text
from transfer.device.disk import read_limited, sync_directory, write_durably
from transfer.errors import TransferError, UsageError

_FOLDER, _FOLDER_MODE = "jobs", 0o700
_MAX_BYTES = 64 << 20

MemberState = Literal["open", "full", "complete"]


class Place(Struct, kw_only=True, omit_defaults=True):
    """A path; the source's start where both are empty."""

    path: str = ""
    path_base64: str = ""

    @staticmethod
    def at(path: bytes) -> Place:
        """The place of a path."""
        text, encoded = to_text(path) if path else ("", "")
        return Place(path=text, path_base64=encoded)

    @property
    def path_bytes(self) -> bytes:
        """The path."""
        return from_text(self.path, self.path_base64) if self.path or self.path_base64 else b""


class SetMember(Struct, kw_only=True, omit_defaults=True):
    """One device of a job, as far as this host filled it.

    Attributes:
        after: it has what is behind this path.
        state: open (its last run did not end), full (the next device goes on behind `until`), complete.
        until_version: the last version that it has of the object at `until`; empty: it has none.
        is_stripe: others have entries of the same part.
        seal_blake3: BLAKE3 of its seal, once it was sealed here.
    """

    ordinal: Annotated[int, Meta(ge=1)]
    device_id: str
    source: str
    after: Place = msgspec.field(default_factory=Place)
    until: Place | None = None
    until_version: str = ""
    state: MemberState = "open"
    is_stripe: bool = False
    seal_blake3: str = ""


class JobMemory(Struct, kw_only=True, omit_defaults=True):
    """All devices of a job."""

    format: Literal["transfer-job"] = "transfer-job"
    format_version: Literal[1] = 1
    job: str
    devices: list[SetMember] = msgspec.field(default_factory=list)

    def of(self, source: str) -> list[SetMember]:
        """The devices that have a part of a source, by ordinal."""
        return sorted((member for member in self.devices if member.source == source), key=_ordinal)

    def find(self, device_id: str, source: str) -> SetMember | None:
        """What is known of a device's part of a source."""
        found = (one for one in self.devices if (one.device_id, one.source) == (device_id, source))
        return next(found, None)

    def version_before(self, source: str, ordinal: int, after: bytes) -> str:
        """The last version, of the object at `after`, that devices before the one with this number have."""
        before = [one for one in self.of(source) if one.ordinal < ordinal and _ends_at(one, after)]
        return before[-1].until_version if before else ""

    def version_until(self, source: str, ordinal: int, until: bytes) -> str:
        """The last version, of the object at `until`, that the device with this number has, or had."""
        same = [one for one in self.of(source) if one.ordinal == ordinal and _ends_at(one, until)]
        return same[-1].until_version if same else ""

    def put(self, member: SetMember) -> None:
        """Remember a device, instead of what was known of it."""
        same = self.find(member.device_id, member.source)
        if same is not None:
            self.devices.remove(same)
            member.seal_blake3 = member.seal_blake3 or same.seal_blake3
        self.devices.append(member)

    def last_of_all(self, device_id: str) -> list[SetMember]:
        """All devices of the job by ordinal, each once, if this is the last of several and they are done."""
        all_of = {member.device_id: member for member in sorted(self.devices, key=_ordinal)}
        mine, last = all_of.get(device_id), max(map(_ordinal, self.devices), default=0)
        if mine is None or mine.ordinal != last or len(all_of) < 2 or last < 2:
            return []
        is_done = all(member.state == "complete" for member in self.devices if member.ordinal == last)
        return list(all_of.values()) if is_done else []

    def put_seal(self, device_id: str, blake3: str) -> bool:
        """Remember the seal of a device; whether it is one of the job's."""
        mine = [member for member in self.devices if member.device_id == device_id]
        for member in mine:
            member.seal_blake3 = blake3
        return bool(mine)

    def open_stripes(self, source: str) -> list[SetMember]:
        """Devices that were being filled at once when that was interrupted."""
        return [member for member in self.of(source) if member.is_stripe and member.state == "open"]

    def forget(self, source: str) -> None:
        """A source is copied anew, to other devices."""
        self.devices = [member for member in self.devices if member.source != source]


def recall(state_directory: str, job: str) -> JobMemory:
    """What is known of a job; nothing where there is no state directory.

    Raises:
        UsageError: the file is damaged.
    """
    if not state_directory:
        return JobMemory(job=job)
    path = _path(state_directory, job)
    try:
        text = read_limited(path, _MAX_BYTES)
    except OSError:  # not there; or another user's: what the devices say has to do
        return JobMemory(job=job)
    try:
        memory = msgspec.json.decode(text, type=JobMemory)
        for member in memory.devices:
            places = [member.after.path_bytes, member.until and member.until.path_bytes]
            del places
    except (msgspec.DecodeError, TransferError, ValueError):
        what = f"{path}, what this host remembers of job {job}, is damaged"
        remedy = "delete it, and name all devices of the job in one command"
        raise UsageError(what, remedy=remedy) from None
    return memory


def remember(state_directory: str, memory: JobMemory) -> str:
    """Keep what is known of a job, durably.

    Returns:
        Why it cannot be kept, for people; empty where it was. Nothing on the devices depends on it.
    """
    if not state_directory:
        return ""
    path = _path(state_directory, memory.job)
    folder = os.path.dirname(path)
    try:
        os.makedirs(state_directory, mode=_FOLDER_MODE, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, _FOLDER_MODE)
            sync_directory(state_directory)
        text = msgspec.json.format(msgspec.json.encode(memory), indent=2) + b"\n"
        write_durably(path, text, mode=0o600)
    except OSError as error:
        return (
            f"which device has what of job {memory.job} cannot be kept in {path}: {error.strerror}; "
            "name all devices of the job when you go on"
        )
    return ""


def _path(state_directory: str, job: str) -> str:
    return os.path.join(state_directory, _FOLDER, f"{job}.json")


def _ends_at(member: SetMember, path: bytes) -> bool:
    is_there = member.until is not None and member.until.path_bytes == path
    return is_there and bool(member.until_version)


def _ordinal(member: SetMember) -> int:
    return member.ordinal
