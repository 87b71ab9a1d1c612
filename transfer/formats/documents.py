"""The two JSON documents of a device as values: DEVICE.json (FORMAT.md §6) and SEAL.json (§12).

Reading is strict: size limits, no unknown fields, no missing ones, the version first. The bytes are checked,
the disk is elsewhere.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from transfer.core.records import FORMAT_VERSION, Digest, Size, Timestamp
from transfer.errors import FormatError, UsageError
from transfer.formats.versioned import DocumentReader

MAX_DEVICE_BYTES = 1 << 20
MAX_SEAL_BYTES = 64 << 20
MAX_SET_DEVICES = 10_000

# "(?!\n)$" and not "$": that would let a line's end pass. Python and ECMA-262 read it alike.
_JOB = "[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
Job = Annotated[str, Meta(pattern=rf"^{_JOB}(?!\n)$")]
Uuid = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}(?!\n)$")
]
Ordinal = Annotated[int, Meta(ge=1, le=9999)]
Software = Annotated[str, Meta(min_length=1, max_length=128)]
FileName = Annotated[str, Meta(pattern=r"^(keys/)?[A-Za-z0-9][A-Za-z0-9._-]{0,63}(?!\n)$")]
AgeRecipient = Annotated[str, Meta(pattern=r"^age1[02-9ac-hj-np-z]{58}(?!\n)$")]
_CHUNK_SIZES = [1 << power for power in range(16, 27)]
ChunkSize = Annotated[
    int, Meta(ge=_CHUNK_SIZES[0], le=_CHUNK_SIZES[-1], extra_json_schema={"enum": _CHUNK_SIZES})
]
Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Recipients(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Whom an encrypted device is encrypted to (FORMAT.md §18), as age X25519 recipients.

    Attributes:
        job: packs and segments; its identity is in keys/job.age.
        resume: segments as well; its identity stays on the source host until the seal.
    """

    job: AgeRecipient
    resume: AgeRecipient


class DeviceDocument(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """DEVICE.json: who this device is and how it is written."""

    format: Literal["transfer-device"] = "transfer-device"
    format_version: Literal[1] = FORMAT_VERSION
    device_id: Uuid
    job: Job
    ordinal: Ordinal
    created: Timestamp
    software: Software
    profile: Annotated[str, Meta(min_length=1, max_length=128)]
    capacity_bytes: Size | None
    reserve_bytes: Size
    pack_size_bytes: Annotated[int, Meta(ge=128 * 1024, le=2**40)]
    chunk_size_bytes: ChunkSize
    batch_size_bytes: Annotated[int, Meta(ge=1, le=64 << 20)]
    batch_entries: Annotated[int, Meta(ge=1, le=100_000)]
    max_entries: Annotated[int, Meta(ge=1, le=1_000_000)]
    level: Annotated[int, Meta(ge=1, le=19)]
    read_bytes_per_s: Number
    write_bytes_per_s: Number
    recipients: Recipients | UnsetType = UNSET

    @property
    def is_encrypted(self) -> bool:
        """Whether packs and segments are age files."""
        return self.recipients is not UNSET


class SealedFile(Struct, forbid_unknown_fields=True, frozen=True):
    """One file of the device under the seal."""

    name: FileName
    size_bytes: Size
    blake3: Digest


class Totals(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Sums over all segments; superseded entries included."""

    entries: Number
    content_bytes: Number
    stored_bytes: Number
    failed: Number
    skipped: Number


class SetDevice(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """One device of a job, as the seal of the last one lists it; `seal_blake3` where it was known."""

    ordinal: Ordinal
    device_id: Uuid
    seal_blake3: Digest | UnsetType = UNSET


class SealDocument(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """SEAL.json: everything on the device, with its digest.

    Attributes:
        totals: not told of an encrypted device, as they say what is in it.
        previous_seal: BLAKE3 of the seal before, from generation 2 on.
        devices: all of the job by ordinal, this one included; told by the last of several.
    """

    format: Literal["transfer-seal"] = "transfer-seal"
    format_version: Literal[1] = FORMAT_VERSION
    device_id: Uuid
    job: Job
    ordinal: Ordinal
    generation: Annotated[int, Meta(ge=1, le=2**31)]
    sealed: Timestamp
    software: Software
    complete: bool
    files: list[SealedFile]
    packs: list[SealedFile]
    segments: list[SealedFile]
    totals: Totals | UnsetType = UNSET
    previous_seal: Digest | UnsetType = UNSET
    devices: Annotated[list[SetDevice], Meta(min_length=1, max_length=MAX_SET_DEVICES)] | UnsetType = UNSET


def check_job(job: str) -> None:
    """Raise UsageError when `job` is no possible name of a job."""
    if not re.fullmatch(_JOB, job):
        raise UsageError(
            f"job name {job!r} is not possible",
            remedy="use 1 to 63 letters, digits, dots, dashes and underscores, a letter or digit first",
        )


_device_reader = DocumentReader(DeviceDocument, version=FORMAT_VERSION, limit_bytes=MAX_DEVICE_BYTES)
_seal_reader = DocumentReader(SealDocument, version=FORMAT_VERSION, limit_bytes=MAX_SEAL_BYTES)


def encode(document: DeviceDocument | SealDocument) -> bytes:
    """The document's file bytes: indented, one newline at the end; always the same for the same value."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode_device(text: bytes, where: str) -> DeviceDocument:
    """DEVICE.json from its bytes.

    Raises:
        FormatError: naming `where`, the field and what is wrong.
    """
    device = _device_reader.decode(text, where)
    if device.chunk_size_bytes not in _CHUNK_SIZES:
        raise FormatError(f"{where}: chunk_size_bytes {device.chunk_size_bytes} is not a power of two")
    return device


def decode_seal(text: bytes, where: str) -> SealDocument:
    """SEAL.json from its bytes.

    Raises:
        FormatError: naming `where`, the field and what is wrong.
    """
    return _seal_reader.decode(text, where)
