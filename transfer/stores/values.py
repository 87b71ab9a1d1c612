"""The values of the contract of object stores: what goes in, and what a store tells of what it has.

Everything a store tells is text or a number that was checked to be one; whether it is true is what checksums
are for (stores/content_check.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Final, Literal, Protocol, TypeAlias

from msgspec import Struct

from transfer.core.object_metadata import ObjectMetadata

Buffers: TypeAlias = Sequence[bytes | memoryview]
Versioning: TypeAlias = Literal["enabled", "suspended", "off"]
RestoreTier: TypeAlias = Literal["Expedited", "Standard", "Bulk"]

ARCHIVE_CLASSES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes whose objects cannot be read before they were restored; GLACIER_IR is none."""


class Checksums(Struct, frozen=True):
    """The two CRCs of one run of bytes, as unsigned numbers."""

    crc64nvme: int
    crc32c: int


class ChecksumKind(Enum):
    """What a store checks a body against, best first."""

    CRC64NVME = "CRC64NVME"
    CRC32C = "CRC32C"
    MD5 = "MD5"
    NONE = "none"  # it checks nothing; the ETag is all there is to compare


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an endpoint was found to do.

    Attributes:
        checksum: the best sum it rejects wrong bytes by.
        full_object: an upload in parts is given one sum of the whole object, not one of its parts' sums.
        if_none_match: whether `If-None-Match: *` is honoured; None while nobody knows.
    """

    checksum: ChecksumKind
    full_object: bool
    if_none_match: bool | None


class PutResult(Struct, frozen=True):
    """What the store said of an object it took.

    Attributes:
        etag: without quotes.
        version_id: in a bucket with versions, else None.
        verified_by: the sum the store is known to have compared the bytes with.
    """

    etag: str
    version_id: str | None
    verified_by: ChecksumKind


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object, or one version of it.

    Who reads a range is told no checksums: those of the object, or of the range, they could be either.

    Attributes:
        etag: without quotes.
        crc64nvme: of the whole object, where the store tells it.
        crc32c: of the whole object, where the store tells it.
        checksums: all that the store tells and that are well-formed, by algorithm (CRC64NVME, CRC32C, CRC32,
            SHA256, SHA1): base64 as S3 writes it, `...-N` where it is one of the N parts' sums.
        archived: its bytes cannot be read as it stands; `request_restore` brings a readable copy.
        restoring: such a copy was asked for and is not there yet.
        encrypted_by: by what the store encrypts it: empty (not said), `AES256`, `aws:kms`, `aws:kms:dsse`, or
            `SSE-C` for a key of the customer's; the ETag is no MD5 but with the first two.
        tag_count: how many tags it has; None where the store does not say.
    """

    key: str
    size_bytes: int
    etag: str
    last_modified: datetime | None
    version_id: str | None
    metadata: ObjectMetadata
    crc64nvme: int | None = None
    crc32c: int | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)
    archived: bool = False
    restoring: bool = False
    encrypted_by: str = ""
    tag_count: int | None = None


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One line of a listing.

    Attributes:
        etag: without quotes.
        storage_class: None where the store does not say.
    """

    key: str
    size_bytes: int
    etag: str
    last_modified: datetime | None
    storage_class: str | None

    @property
    def archived(self) -> bool:
        """Whether its class is one whose bytes must be restored first; `head` tells whether they were."""
        return self.storage_class in ARCHIVE_CLASSES


@dataclass(frozen=True, slots=True)
class ListedVersion:
    """One line of a listing of versions.

    Attributes:
        version_id: `null` for one made while the bucket kept no versions.
        is_latest: the one that is there without a version being named; a delete marker may be it.
        is_delete_marker: says that the key was deleted; has no bytes, no ETag, and size 0.
        etag: without quotes.
        storage_class: None where the store does not say.
    """

    key: str
    version_id: str
    is_latest: bool
    is_delete_marker: bool
    size_bytes: int
    etag: str
    last_modified: datetime | None
    storage_class: str | None

    @property
    def archived(self) -> bool:
        """Whether its class is one whose bytes must be restored first; `head` tells whether they were."""
        return self.storage_class in ARCHIVE_CLASSES


@dataclass(frozen=True, slots=True)
class CommonPrefixes:
    """The folders directly under a prefix, as far as one was willing to look.

    Attributes:
        prefixes: ascending by UTF-8 bytes, each with the prefix in front and the delimiter at its end.
        complete: there are no others behind the last one.
    """

    prefixes: tuple[str, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Part:
    """One part a store has.

    Attributes:
        number: from 1.
        etag: without quotes.
        checksums: its CRCs where the caller gave them; a store's own listing of parts leaves them out.
    """

    number: int
    size_bytes: int
    etag: str
    checksums: Checksums | None = None


@dataclass(frozen=True, slots=True)
class UploadInfo:
    """One upload in parts that was neither completed nor aborted."""

    key: str
    upload_id: str
    initiated: datetime | None


@dataclass(frozen=True, slots=True)
class BegunUpload:
    """An upload in parts that a store has just begun.

    Attributes:
        upload_id: names it.
        may_have_twin: an answer was lost before; the store may have begun another one for it.
    """

    upload_id: str
    may_have_twin: bool = False


class ObjectBody(Protocol):
    """An object, or a range of one, while it is read."""

    @property
    def info(self) -> ObjectInfo:
        """The object; its size is that of the whole, not of the range."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes in pieces of the transport's choice, once.

        Raises:
            StoreUnreachableError: the bytes end early.
        """
