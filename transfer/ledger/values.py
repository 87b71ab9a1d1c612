"""What goes into the ledger and comes out of it: frozen values. Pure.

Digests are 64 lower-case hex digits, times RFC 3339 in UTC, sizes count bytes. A job and an upload have a
`number`, which the ledger gives and which is theirs alone within it.
"""

from __future__ import annotations

import json
import uuid
from enum import StrEnum

from msgspec import Struct

from transfer.ledger.phases import Phase


class SealedDevice(Struct, frozen=True):
    """What a device says of itself: DEVICE.json and SEAL.json (FORMAT.md §6, §12).

    Attributes:
        generation: of its seal, from 1.
        seal_blake3: digest of the exact bytes of SEAL.json.
    """

    device_id: str
    job: str
    ordinal: int
    generation: int
    seal_blake3: str


class KnownDevice(Struct, frozen=True):
    """A device with the newest generation of it that was seen, and when it was seen first and last."""

    device: SealedDevice
    first_seen: str
    last_seen: str


class Sighting(StrEnum):
    """How a device compares with what was seen of it before."""

    NEW = "new"  # never seen
    KNOWN = "known"  # exactly this
    NEWER = "newer"  # a later generation
    OLDER = "older"  # an earlier generation: an old copy is played again
    CONFLICTING = "conflicting"  # the same generation with another seal, or another job or ordinal


class DeviceSet(Struct, frozen=True):
    """The devices of a job, as far as they are known.

    Attributes:
        seen: ordinals that were seen, ascending.
        missing: ordinals that there must be, and that were never seen, ascending.
        is_listed: all there are have been told, by the last one's seal.
    """

    seen: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()
    is_listed: bool = False


class JobIdentity(Struct, frozen=True):
    """What makes an import this one and no other: this sealed device into this place.

    Attributes:
        seal_blake3: empty for a device that was never sealed.
        endpoint: URL of the store; empty for Amazon's own.
    """

    device_id: str
    seal_blake3: str
    bucket: str
    prefix: str
    endpoint: str

    @property
    def job_id(self) -> str:
        """UUID version 5 (RFC 9562 §5.5) of the identity: the same in every ledger."""
        name = json.dumps([self.device_id, self.seal_blake3, self.bucket, self.prefix, self.endpoint])
        return str(uuid.uuid5(_NAMESPACE, name))


# Of this project's job ids; itself the UUID version 5 of "transfer job" in the URL namespace.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "transfer job")


class Counters(Struct, frozen=True):
    """What became of entries; `bytes` are those of `objects`, which are in the bucket."""

    objects: int = 0
    bytes: int = 0
    failed: int = 0
    skipped: int = 0
    superseded: int = 0


class Job(Struct, frozen=True):
    """One import.

    Attributes:
        number: of the job in this ledger.
        paused: somebody wants it to rest; its phase says where it will go on.
        counters: as it told them last.
        error: why it failed or was quarantined.
        attempts: how often it was begun.
    """

    number: int
    job_id: str
    identity: JobIdentity
    phase: Phase
    paused: bool
    created: str
    changed: str
    error: str
    counters: Counters
    attempts: int = 0


class ObjectState(StrEnum):
    """What became of an entry."""

    DONE = "done"  # in the bucket, and the store's answer agrees with what was read
    FAILED = "failed"
    SKIPPED = "skipped"  # knowingly left out
    SUPERSEDED = "superseded"  # a newer run has its path


class ObjectEntry(Struct, frozen=True):
    """What became of one record of a segment.

    Attributes:
        job: its job's number.
        sequence: of the segment.
        position: of the record in its segment; which count is the caller's choice, but always the same one.
        key: of the object; of what cannot be one, the name to call it by.
        blake3: of the content; empty where it has none.
        etag: as the store gave it.
        error: why it failed or was skipped.
    """

    job: int
    sequence: int
    position: int
    state: ObjectState
    key: str
    size_bytes: int
    blake3: str = ""
    etag: str = ""
    error: str = ""


class MadeVersion(Struct, frozen=True):
    """What a version of a key, or a delete marker, became in a bucket.

    Attributes:
        job: number of the first one of its device and place (`Jobs.first_of`): they share what they know.
        sequence: of the segment.
        position: of the record in its segment, as in `ObjectEntry`.
        version_id: as the store gave it.
        blake3: of the content; empty for a delete marker.
    """

    job: int
    sequence: int
    position: int
    key: str
    version_id: str
    blake3: str = ""


class Upload(Struct, frozen=True):
    """An upload in parts that was begun and not ended.

    Attributes:
        number: of the upload in this ledger.
        job: its job's number.
        upload_id: the store's; empty when the store was asked for one and its answer was never recorded.
            Such an upload may exist: look for the key in the store's list of uploads.
        sequence: of the segment where its file begins.
        position: of the record with which it begins there, where the key has several versions; else -1.
    """

    number: int
    job: int
    key: str
    upload_id: str
    sequence: int
    size_bytes: int
    part_size_bytes: int
    begun: str
    position: int = -1
