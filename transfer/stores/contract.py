"""The one contract of object stores: a bucket, its objects, and uploads in parts.

Every adapter (S3, memory) and decorator (retry) keeps it, and tests/contract proves it on each.

- Keys are text; whether a key is fit to be sent is the caller's question (`core.s3_limits.check_key`).
- Bodies are buffers, sent one after another and never joined; they must not change until the call ends.
- Checksums come from the caller, taken when the bytes were first read, and are for exactly the body they come
  with. A store that can check them gets them; whatever it answers is compared with them.
- Errors are those of transfer/errors.py. Any call may raise `StoreUnreachableError` (no answer),
  `AccessError` (credentials), `NotFoundError` (no such bucket) and `StoreError` (whatever else a store says).
- Idempotent calls may be sent again after a lost answer with the same outcome; each method says if it is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol, TypeAlias

from msgspec import Struct

from transfer.core.object_metadata import NO_METADATA, ObjectMetadata

Buffers: TypeAlias = Sequence[bytes | memoryview]


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
    """One object.

    Attributes:
        etag: without quotes.
        crc64nvme: of the whole object, where the store tells it.
        crc32c: of the whole object, where the store tells it.
    """

    key: str
    size_bytes: int
    etag: str
    last_modified: datetime | None
    version_id: str | None
    metadata: ObjectMetadata
    crc64nvme: int | None = None
    crc32c: int | None = None


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One line of a listing."""

    key: str
    size_bytes: int
    etag: str
    last_modified: datetime | None
    storage_class: str | None


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


class Store(Protocol):
    """One bucket."""

    async def put(
        self,
        key: str,
        body: Buffers,
        *,
        checksums: Checksums,
        metadata: ObjectMetadata = NO_METADATA,
        if_none_match: bool = False,
    ) -> PutResult:
        """Write an object in one request; readers see the old one or the new one, never a mixture.

        Idempotent, but for `if_none_match`: after a lost answer the next attempt may find its own object.

        Raises:
            PreconditionError: `if_none_match` and there is an object already, or another writer won.
            ChecksumRejectedError: the store got other bytes than `checksums` are of.
        """

    async def head(self, key: str) -> ObjectInfo:
        """What the store knows of an object. Idempotent.

        Raises:
            NotFoundError: there is no such object (or bucket: a HEAD does not say which).
        """

    def get(
        self, key: str, *, offset_bytes: int = 0, length_bytes: int | None = None, if_match: str | None = None
    ) -> AbstractAsyncContextManager[ObjectBody]:
        """Read an object or a range of it. Idempotent.

        Args:
            key: of the object.
            offset_bytes: first byte, within the object (0 is fine for an empty one).
            length_bytes: 1 or more; to the object's end where None, or where the range goes beyond it.
            if_match: the ETag the object must still have.

        Raises:
            NotFoundError: there is no such object.
            PreconditionError: the object's ETag is another.
            StoreError: the offset is beyond the object (416).
        """

    async def tags(self, key: str) -> Mapping[str, str]:
        """The tags of an object. Idempotent.

        Raises:
            NotFoundError: there is no such object.
        """

    async def delete(self, key: str, *, version_id: str | None = None) -> None:
        """Remove an object, or one version of it; none there is fine. Idempotent."""

    def list(self, prefix: str = "", *, start_after: str = "") -> AsyncGenerator[ListedObject]:
        """The objects under a prefix, ascending by their keys' UTF-8 bytes, page by page as they are taken.

        Idempotent: go on behind a key with `start_after`.

        Raises:
            StoreError: the store does not keep to that order; merges over it would lose objects.
        """

    async def copy(self, source_key: str, key: str, *, if_match: str | None = None) -> PutResult:
        """Copy an object within the bucket, metadata included, without its bytes coming here. Idempotent.

        Raises:
            NotFoundError: there is no such source.
            PreconditionError: the source's ETag is not `if_match`.
        """

    async def create_upload(self, key: str, *, metadata: ObjectMetadata = NO_METADATA) -> BegunUpload:
        """Begin an upload in parts.

        Not idempotent: a lost answer leaves an upload behind that `list_uploads` finds. A lifecycle rule on
        the bucket (AbortIncompleteMultipartUpload) clears what nobody aborts.
        """

    async def put_part(
        self, key: str, upload_id: str, number: int, body: Buffers, *, checksums: Checksums
    ) -> Part:
        """Write one part; parts may come in any order and at once. Idempotent: the last of a number counts.

        Raises:
            NotFoundError: there is no such upload (any more).
            ChecksumRejectedError: the store got other bytes than `checksums` are of.
        """

    async def complete_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[Part],
        *,
        checksums: Checksums,
        if_none_match: bool = False,
    ) -> PutResult:
        """Make the parts, in order of their numbers, one object; it appears whole or not at all.

        Idempotent: where the upload is gone and the object is provably this one, it was completed before.

        Args:
            key: of the object.
            upload_id: from `create_upload`.
            parts: ascending by number.
            checksums: of the whole object.
            if_none_match: only where there is no object yet.

        Raises:
            NotFoundError: there is no such upload, and no such object either.
            PreconditionError: 412, there is an object already; 409, another writer came between: start again
                from `create_upload`.
            ChecksumRejectedError: the parts do not make up an object with these checksums.
        """

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """Give an upload up and free its parts; none there is fine. Idempotent.

        Parts still under way may arrive afterwards: await them first.
        """

    def list_parts(self, key: str, upload_id: str) -> AsyncIterator[Part]:
        """The parts an upload has, ascending by number. Idempotent.

        Raises:
            NotFoundError: there is no such upload.
        """

    def list_uploads(self, prefix: str = "") -> AsyncIterator[UploadInfo]:
        """The uploads under a prefix that are neither completed nor aborted, by key. Idempotent."""

    async def probe(self) -> Capabilities:
        """Find out, once, what the store does; needs the right to write, leaves nothing. Idempotent."""

    async def aclose(self) -> None:
        """Let go of connections. Idempotent."""
