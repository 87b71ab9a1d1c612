"""A bucket in memory: the contract in its plainest form, for tests and dry runs.

It checks what S3 checks (sums, sizes of parts, preconditions) and makes the ETags S3 makes. It keeps
everything in memory, makes no versions, and its clock is the one it is given.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from transfer.core.object_metadata import NO_METADATA, ObjectMetadata
from transfer.core.s3_limits import AWS_LIMITS, S3Limits
from transfer.errors import ChecksumRejectedError, NotFoundError, PreconditionError, StoreError
from transfer.stores.checksums import checksums_of, composite_etag, is_this_object
from transfer.stores.contract import (
    BegunUpload,
    Buffers,
    Capabilities,
    ChecksumKind,
    Checksums,
    ListedObject,
    ObjectBody,
    ObjectInfo,
    Part,
    PutResult,
    UploadInfo,
)

_CAPABILITIES = Capabilities(ChecksumKind.CRC64NVME, full_object=True, if_none_match=True)
_PIECE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Object:
    info: ObjectInfo
    data: bytes


@dataclass(slots=True)
class _Upload:
    key: str
    initiated: datetime
    metadata: ObjectMetadata
    parts: dict[int, tuple[Part, bytes]] = field(default_factory=dict)


class MemoryStore:
    """One bucket in memory; keeps the contract of `stores.contract.Store`."""

    def __init__(
        self, *, limits: S3Limits = AWS_LIMITS, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._limits = limits
        self._now = now
        self._objects: dict[str, _Object] = {}
        self._uploads: dict[str, _Upload] = {}
        self._uploads_made = 0

    async def put(
        self,
        key: str,
        body: Buffers,
        *,
        checksums: Checksums,
        metadata: ObjectMetadata = NO_METADATA,
        if_none_match: bool = False,
    ) -> PutResult:
        """See `Store.put`."""
        data = _taken(body, checksums, key)
        return self._keep(key, data, _md5(data), checksums, metadata, if_none_match=if_none_match)

    async def head(self, key: str) -> ObjectInfo:
        """See `Store.head`."""
        info = self._object(key).info
        return replace(info, metadata=replace(info.metadata, tags={}))

    @asynccontextmanager
    async def get(
        self, key: str, *, offset_bytes: int = 0, length_bytes: int | None = None, if_match: str | None = None
    ) -> AsyncIterator[ObjectBody]:
        """See `Store.get`."""
        found = self._object(key)
        if if_match and found.info.etag != if_match:
            raise _changed(key)
        if offset_bytes and offset_bytes >= len(found.data):
            raise StoreError(
                f"memory object {key!r} ends before {offset_bytes}", status=416, code="InvalidRange"
            )
        end = None if length_bytes is None else offset_bytes + length_bytes
        yield _MemoryBody(found.info, found.data[offset_bytes:end])

    async def tags(self, key: str) -> Mapping[str, str]:
        """See `Store.tags`."""
        return self._object(key).info.metadata.tags

    async def delete(self, key: str, *, version_id: str | None = None) -> None:
        """See `Store.delete`; there are no versions."""
        if version_id is None:
            self._objects.pop(key, None)

    async def list(self, prefix: str = "", *, start_after: str = "") -> AsyncGenerator[ListedObject]:
        """See `Store.list`."""
        for key in sorted(self._objects, key=str.encode):
            if key.startswith(prefix) and key.encode() > start_after.encode() and key in self._objects:
                info = self._objects[key].info
                storage_class = info.metadata.storage_class or "STANDARD"
                yield ListedObject(key, info.size_bytes, info.etag, info.last_modified, storage_class)

    async def copy(self, source_key: str, key: str, *, if_match: str | None = None) -> PutResult:
        """See `Store.copy`."""
        source = self._object(source_key)
        if if_match and source.info.etag != if_match:
            raise _changed(source_key)
        info = replace(source.info, key=key, last_modified=self._now())
        self._objects[key] = _Object(info, source.data)
        return PutResult(info.etag, None, ChecksumKind.NONE)

    async def create_upload(self, key: str, *, metadata: ObjectMetadata = NO_METADATA) -> BegunUpload:
        """See `Store.create_upload`."""
        self._uploads_made += 1
        upload_id = f"upload-{self._uploads_made:08}"
        self._uploads[upload_id] = _Upload(key, self._now(), metadata)
        return BegunUpload(upload_id)

    async def put_part(
        self, key: str, upload_id: str, number: int, body: Buffers, *, checksums: Checksums
    ) -> Part:
        """See `Store.put_part`."""
        upload = self._upload(key, upload_id)
        if not 1 <= number <= self._limits.parts_max:
            raise StoreError(
                f"memory upload of {key!r} has no part {number}", status=400, code="InvalidArgument"
            )
        data = _taken(body, checksums, key)
        part = Part(number, len(data), _md5(data), checksums)
        upload.parts[number] = part, data
        return part

    async def complete_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[Part],
        *,
        checksums: Checksums,
        if_none_match: bool = False,
    ) -> PutResult:
        """See `Store.complete_upload`."""
        before = self._objects.get(key)
        if upload_id not in self._uploads and before and is_this_object(before.info, checksums, parts):
            return PutResult(before.info.etag, None, ChecksumKind.CRC64NVME)
        upload = self._upload(key, upload_id)
        data = _taken(
            [self._part_data(upload, part, last=part is parts[-1]) for part in parts], checksums, key
        )
        etag = composite_etag(parts)
        if etag is None:
            raise StoreError(f"memory upload of {key!r}: a part has no ETag", status=400, code="InvalidPart")
        kept = self._keep(key, data, etag, checksums, upload.metadata, if_none_match=if_none_match)
        del self._uploads[upload_id]
        return kept

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """See `Store.abort_upload`."""
        if upload_id in self._uploads and self._uploads[upload_id].key == key:
            del self._uploads[upload_id]

    async def list_parts(self, key: str, upload_id: str) -> AsyncIterator[Part]:
        """See `Store.list_parts`."""
        for _, (part, _data) in sorted(self._upload(key, upload_id).parts.items()):
            yield replace(part, checksums=None)

    async def list_uploads(self, prefix: str = "") -> AsyncIterator[UploadInfo]:
        """See `Store.list_uploads`."""
        for upload_id, upload in sorted(
            self._uploads.items(), key=lambda item: (item[1].key.encode(), item[0])
        ):
            if upload.key.startswith(prefix):
                yield UploadInfo(upload.key, upload_id, upload.initiated)

    async def probe(self) -> Capabilities:
        """See `Store.probe`."""
        return _CAPABILITIES

    async def aclose(self) -> None:
        """See `Store.aclose`; the objects stay."""

    def _object(self, key: str) -> _Object:
        if key not in self._objects:
            raise NotFoundError(f"there is no memory object {key!r}", status=404, code="NoSuchKey")
        return self._objects[key]

    def _upload(self, key: str, upload_id: str) -> _Upload:
        upload = self._uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise NotFoundError(f"there is no memory upload {upload_id!r}", status=404, code="NoSuchUpload")
        return upload

    def _part_data(self, upload: _Upload, part: Part, *, last: bool) -> bytes:
        kept, data = upload.parts.get(part.number, (None, b""))
        if kept is None or kept.etag != part.etag:
            raise StoreError(f"memory upload has no such part {part.number}", status=400, code="InvalidPart")
        if len(data) < self._limits.part_min_bytes and not last:
            raise StoreError(f"part {part.number} is too small", status=400, code="EntityTooSmall")
        return data

    def _keep(
        self,
        key: str,
        data: bytes,
        etag: str,
        sums: Checksums,
        metadata: ObjectMetadata,
        *,
        if_none_match: bool,
    ) -> PutResult:
        if if_none_match and key in self._objects:
            raise _changed(key)
        info = ObjectInfo(
            key, len(data), etag, self._now(), None, metadata, crc64nvme=sums.crc64nvme, crc32c=sums.crc32c
        )
        self._objects[key] = _Object(info, data)
        return PutResult(etag, None, ChecksumKind.CRC64NVME)


class _MemoryBody:
    def __init__(self, info: ObjectInfo, data: bytes) -> None:
        self.info = replace(info, metadata=replace(info.metadata, tags={}))
        self._data = data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for offset in range(0, len(self._data), _PIECE_BYTES):
            yield self._data[offset : offset + _PIECE_BYTES]


def _taken(body: Buffers, checksums: Checksums, key: str) -> bytes:
    """The body in one piece, if it is the one the sums are of."""
    if checksums_of(body) != checksums:
        raise ChecksumRejectedError(f"memory object {key!r}: other bytes", status=400, code="BadDigest")
    return b"".join(body)


def _changed(key: str) -> PreconditionError:
    return PreconditionError(f"memory object {key!r} is another", status=412, code="PreconditionFailed")


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
