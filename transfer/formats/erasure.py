"""ERASED.json: that a device was erased, when, by whom, on what grounds, and what was done (FORMAT.md §21).

It is written twice: before the first thing is destroyed (`state` is `begun`), and behind the last one.
Reading is strict, as of the other documents of a device.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from transfer.core.records import Digest, Timestamp
from transfer.formats.documents import Job, Number, Ordinal, Software, Uuid
from transfer.formats.versioned import DocumentReader

MAX_ERASURE_BYTES: Final = 1 << 20

Method = Literal["overwritten-and-removed", "removed"]
"""`removed`: the name and the file's claim to its blocks are gone; what is in the blocks is not."""

Words = Annotated[str, Meta(max_length=1024)]


class ErasedPart(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """A part of the device: how many files and bytes of it were there, and what was done to them."""

    part: Literal["keys", "segments", "packs", "documents"]
    files: Number
    bytes: Number
    method: Method


class Erasure(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """The record of an erasure.

    Attributes:
        finished: empty as long as it is `begun`.
        who: who answers for it; may be empty.
        generation, seal_blake3: of the seal; None where the device was not sealed.
        certificate_blake3: of the certificate that it was done upon; None: without one, as was asked for.
        encrypted: the device was; what is left of its packs opens only with copies of the key.
        resume_key_destroyed: this host held the key that reads the segments, and destroyed it.
        parts: what was there when it began.
        left: names of what was not removed, as it is not the device's own.
        limits: what all this does not achieve, in words.
    """

    format: Literal["transfer-erasure"] = "transfer-erasure"
    format_version: Literal[1] = 1
    state: Literal["begun", "done"]
    device_id: Uuid
    job: Job
    ordinal: Ordinal
    begun: Timestamp
    finished: Annotated[str, Meta(max_length=40)]
    who: Annotated[str, Meta(max_length=256)]
    host: Annotated[str, Meta(max_length=256)]
    software: Software
    generation: Annotated[int, Meta(ge=1, le=2**31)] | None
    seal_blake3: Digest | None
    certificate_blake3: Digest | None
    encrypted: bool
    resume_key_destroyed: bool
    parts: Annotated[list[ErasedPart], Meta(max_length=4)]
    left: Annotated[list[Words], Meta(max_length=100)]
    limits: Annotated[list[Words], Meta(max_length=10)]


_reader = DocumentReader(Erasure, version=1, limit_bytes=MAX_ERASURE_BYTES)


def encode_erasure(erasure: Erasure) -> bytes:
    """The file's bytes: indented, a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(erasure), indent=2) + b"\n"


def decode_erasure(text: bytes, where: str) -> Erasure:
    """A record from its bytes.

    Raises:
        FormatError: naming `where`, the field and what is wrong.
    """
    return _reader.decode(text, where)
