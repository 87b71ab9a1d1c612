"""A certificate: the signed statement that entries of a device were in a bucket (FORMAT.md §20).

Three files: FILE, one JSON document, whose exact bytes are signed; FILE.sig, the signature; and the companion
FILE.entries.jsonl.zst (`certificate_entries`), a line an entry, whose size and BLAKE3 stand in FILE. So one
signature covers every key and digest, however many there are.

Reading is strict, as of a device's documents. The bytes are checked here; disks and stores are elsewhere.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from transfer.core.records import Base64, Digest, Text, Timestamp
from transfer.formats.documents import Job, Number, Ordinal, Software, Uuid
from transfer.formats.versioned import DocumentReader

NAMESPACE: Final = "transfer-certificate"
"""Of the signature (SSHSIG)."""
SIGNATURE_SUFFIX: Final = ".sig"
ENTRIES_SUFFIX: Final = ".entries.jsonl.zst"
MAX_CERTIFICATE_BYTES: Final = 16 << 20
MAX_LISTED: Final = 1000
"""Entries that are not certified, named in the certificate itself; all are in the companion."""
MAX_LISTED_BYTES: Final = 8 << 20
"""What they may take together: a path may have 65,535 bytes."""
MAX_PRINCIPAL_CHARS: Final = 1024
MAX_KEY_CHARS: Final = 64 << 10
"""Of a key as text; S3 has 1,024 bytes, other stores have more."""

State = Literal["missing", "different", "unproved", "not-on-device", "not-sendable", "changed-at-source"]
"""Why an entry is not certified: nothing of its key is in the bucket; something else is; what is there cannot
be compared; the device itself lacks it; it cannot be an object; the device has a mixture of two versions."""

Reason = Annotated[str, Meta(max_length=8192)]
Key = Annotated[str, Meta(max_length=MAX_KEY_CHARS)]


class Evidence(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """How many objects were compared in which way.

    Attributes:
        crc64nvme: the store's own checksum of the whole object, and size, against the manifest's.
        crc32c: the same with this sum, where the store has no other.
        download: every byte was read, its BLAKE3 compared.
        empty: an object of no bytes has no content to compare.
    """

    crc64nvme: Number
    crc32c: Number
    download: Number
    empty: Number


class EntriesFile(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """The companion, by its stored bytes."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    entries: Number
    size_bytes: Number
    blake3: Digest


class SealSigner(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Who signed the device's seal: fingerprint of the key, and whom --signers had for it (may be empty)."""

    key: Annotated[str, Meta(max_length=128)]
    principal: Annotated[str, Meta(max_length=MAX_PRINCIPAL_CHARS)]


class Unlisted(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """An entry that is not certified, by name; the path as FORMAT.md §5 spells it."""

    path: Text = ""
    path_base64: Base64 = ""
    state: State
    reason: Reason


class Certificate(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """What was found, where and when.

    Attributes:
        seal_signed_by: None where the seal is not signed.
        endpoint: of the store; empty: Amazon's own.
        complete: every entry of the device is certified; the source may be deleted.
        objects, bytes: that are certified.
        folders_implied: folders with something in them, which need no object.
        symlinks_left_out: symbolic links that were not asked for (`--symlinks skip`).
        other_objects: under the prefix, and of no entry of this device.
        older_versions: of the device's keys, delete markers included, which nobody looked for; absent: none.
        not_certified: how many entries are not; `not_certified_first` names the first MAX_LISTED,
            fewer where their names are long.
    """

    format: Literal["transfer-certificate"] = "transfer-certificate"
    format_version: Literal[1] = 1
    device_id: Uuid
    job: Job
    ordinal: Ordinal
    generation: Annotated[int, Meta(ge=1, le=2**31)]
    seal_blake3: Digest
    seal_signed_by: SealSigner | None
    endpoint: Annotated[str, Meta(max_length=4096)]
    bucket: Annotated[str, Meta(min_length=3, max_length=63)]
    prefix: Key
    started: Timestamp
    finished: Timestamp
    software: Software
    complete: bool
    objects: Number
    bytes: Number
    evidence: Evidence
    entries: EntriesFile
    folders_implied: Number
    symlinks_left_out: Number
    other_objects: Number
    older_versions: Annotated[int, Meta(ge=1, le=2**63 - 1)] | UnsetType = UNSET
    not_certified: Number
    not_certified_first: Annotated[list[Unlisted], Meta(max_length=MAX_LISTED)]


_reader = DocumentReader(Certificate, version=1, limit_bytes=MAX_CERTIFICATE_BYTES)


def encode_certificate(certificate: Certificate) -> bytes:
    """The file's bytes: indented, a newline at the end; always the same for the same value."""
    return msgspec.json.format(msgspec.json.encode(certificate), indent=2) + b"\n"


def decode_certificate(text: bytes, where: str) -> Certificate:
    """A certificate from its bytes.

    Raises:
        FormatError: naming `where`, the field and what is wrong.
    """
    return _reader.decode(text, where)
