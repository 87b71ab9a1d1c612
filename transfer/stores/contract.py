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
from typing import Protocol

from transfer.core.object_metadata import NO_METADATA, ObjectMetadata
from transfer.stores.values import (
    ARCHIVE_CLASSES,
    BegunUpload,
    Buffers,
    Capabilities,
    ChecksumKind,
    Checksums,
    CommonPrefixes,
    ListedObject,
    ListedVersion,
    ObjectBody,
    ObjectInfo,
    Part,
    PutResult,
    RestoreTier,
    UploadInfo,
    Versioning,
)

__all__ = [
    "ARCHIVE_CLASSES",
    "BegunUpload",
    "Buffers",
    "Capabilities",
    "ChecksumKind",
    "Checksums",
    "CommonPrefixes",
    "ListedObject",
    "ListedVersion",
    "ObjectBody",
    "ObjectInfo",
    "Part",
    "PutResult",
    "RestoreTier",
    "Store",
    "UploadInfo",
    "Versioning",
]


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

    async def head(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        """What the store knows of an object, or of one version of it. Idempotent.

        Raises:
            NotFoundError: there is no such object (or bucket: a HEAD does not say which), or a delete marker.
        """

    def get(
        self,
        key: str,
        *,
        version_id: str | None = None,
        offset_bytes: int = 0,
        length_bytes: int | None = None,
        if_match: str | None = None,
    ) -> AbstractAsyncContextManager[ObjectBody]:
        """Read an object or a range of it. Idempotent.

        Args:
            key: of the object.
            version_id: the version to read; the latest where None.
            offset_bytes: first byte, within the object (0 is fine for an empty one).
            length_bytes: 1 or more; to the object's end where None, or where the range goes beyond it.
            if_match: the ETag the object must still have.

        Raises:
            NotFoundError: there is no such object, or a delete marker.
            PreconditionError: the object's ETag is another.
            ArchivedError: its bytes must be restored first.
            StoreError: the offset is beyond the object (416).
        """

    async def tags(self, key: str, *, version_id: str | None = None) -> Mapping[str, str]:
        """The tags of an object, or of one version of it. Idempotent.

        Raises:
            NotFoundError: there is no such object, or a delete marker.
        """

    async def first_part_size(self, key: str, *, version_id: str | None = None) -> int | None:
        """The size in bytes of the first part of an object that was uploaded in several. Idempotent.

        Returns:
            None where it was stored in one piece, or the store does not say.

        Raises:
            NotFoundError: there is no such object, or a delete marker.
        """

    async def delete(self, key: str, *, version_id: str | None = None) -> str | None:
        """Remove an object, or one version of it; none there is fine.

        Idempotent, but in a bucket with versions, where a call without one makes a delete marker each time.

        Returns:
            the version id of the delete marker that this call made; None where the store tells of none: it
            keeps no versions, a version was named, or it makes no marker of a key that is not there.
        """

    async def versioning(self) -> Versioning:
        """Whether the bucket keeps versions; `off` where the store knows none. Idempotent."""

    def versions(
        self, prefix: str = "", *, start_after: str = "", after_version: str = ""
    ) -> AsyncGenerator[ListedVersion]:
        """All versions and delete markers under a prefix, page by page as they are taken.

        Ascending by their keys' UTF-8 bytes, those of a key newest first.

        Idempotent: go on behind all versions of a key with `start_after`, behind one of them with both.

        Args:
            prefix: of the keys.
            start_after: a key.
            after_version: one of its versions, where the rest of them is wanted too. Go on behind a whole key
                where you can: some stores tell only to the second how versions and delete markers follow.

        Raises:
            StoreError: the store knows no versions, or does not keep to that order.
        """

    async def common_prefixes(
        self, prefix: str = "", *, delimiter: str = "/", start_after: str = ""
    ) -> CommonPrefixes:
        """The folders directly under a prefix and behind a key, as far as one page of a listing tells.

        A page has 1,000 of them and of the objects beside them, at most. Idempotent.
        """

    async def request_restore(
        self, key: str, *, days: int, tier: RestoreTier = "Standard", version_id: str | None = None
    ) -> None:
        """Ask for a readable copy of an archived object. Idempotent: one that is under way is fine.

        Args:
            key: of the object.
            days: how long the copy is kept, 1 or more.
            tier: how quickly it is wanted, and at what price.
            version_id: which version; the latest where None.

        Raises:
            NotFoundError: there is no such object.
            StoreError: it is not archived, or the store knows no archive.
        """

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
