"""A bucket in memory: the contract in its plainest form, for tests and dry runs.

It checks what S3 checks (sums, sizes of parts, preconditions) and makes the ETags S3 makes. It keeps versions
where it is told to (memory_history.py), knows archived objects, and its clock is the one it is given.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from transfer.core.object_metadata import NO_METADATA, ObjectMetadata
from transfer.core.s3_limits import AWS_LIMITS, S3Limits
from transfer.errors import ArchivedError, ChecksumRejectedError, NotFoundError, PreconditionError, StoreError
from transfer.stores.checksums import checksums_of, composite_etag, encode, is_this_object, value_of
from transfer.stores.contract import (
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
from transfer.stores.memory_body import MemoryBody
from transfer.stores.memory_history import History, Kept

_CAPABILITIES = Capabilities(ChecksumKind.CRC64NVME, full_object=True, if_none_match=True)
_CRCS = (ChecksumKind.CRC64NVME, ChecksumKind.CRC32C)


@dataclass(slots=True)
class _Upload:
    key: str
    initiated: datetime
    metadata: ObjectMetadata
    parts: dict[int, tuple[Part, bytes]] = field(default_factory=dict)


class MemoryStore:
    """One bucket in memory; keeps the contract of `stores.contract.Store`.

    Attributes:
        mode: what becomes of versions from now on.
    """

    def __init__(
        self,
        *,
        limits: S3Limits = AWS_LIMITS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        versioning: Versioning = "off",
    ) -> None:
        self.mode: Versioning = versioning
        self._limits = limits
        self._now = now
        self._objects = History()
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

    async def head(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        """See `Store.head`."""
        info = self._objects.find(key, version_id).info
        return replace(info, metadata=replace(info.metadata, tags={}))

    @asynccontextmanager
    async def get(
        self,
        key: str,
        *,
        version_id: str | None = None,
        offset_bytes: int = 0,
        length_bytes: int | None = None,
        if_match: str | None = None,
    ) -> AsyncIterator[ObjectBody]:
        """See `Store.get`."""
        found = self._objects.find(key, version_id)
        if if_match and found.info.etag != if_match:
            raise _changed(key)
        if found.info.archived:
            raise ArchivedError(f"memory object {key!r} is archived", status=403, code="InvalidObjectState")
        if offset_bytes and offset_bytes >= len(found.data):
            raise StoreError(
                f"memory object {key!r} ends before {offset_bytes}", status=416, code="InvalidRange"
            )
        end = None if length_bytes is None else offset_bytes + length_bytes
        info = found.info
        if offset_bytes or end is not None:
            info = replace(info, crc64nvme=None, crc32c=None, checksums={})
        yield MemoryBody(info, found.data[offset_bytes:end])

    async def tags(self, key: str, *, version_id: str | None = None) -> Mapping[str, str]:
        """See `Store.tags`."""
        return self._objects.find(key, version_id).info.metadata.tags

    async def first_part_size(self, key: str, *, version_id: str | None = None) -> int | None:
        """See `Store.first_part_size`."""
        return self._objects.find(key, version_id).first_part_bytes

    async def delete(self, key: str, *, version_id: str | None = None) -> str | None:
        """See `Store.delete`."""
        if version_id is not None or self.mode == "off":
            self._objects.remove(key, version_id)
            return None
        marker = ObjectInfo(key, 0, "", self._now(), None, NO_METADATA)
        return self._objects.add(Kept(marker, b"", marker=True), self.mode)

    async def list(self, prefix: str = "", *, start_after: str = "") -> AsyncGenerator[ListedObject]:
        """See `Store.list`."""
        for item in self._objects.objects(prefix, start_after):
            yield item

    async def versioning(self) -> Versioning:
        """See `Store.versioning`."""
        return self.mode

    async def versions(
        self, prefix: str = "", *, start_after: str = "", after_version: str = ""
    ) -> AsyncGenerator[ListedVersion]:
        """See `Store.versions`."""
        for item in self._objects.versions(prefix, start_after, after_version):
            yield item

    async def common_prefixes(
        self, prefix: str = "", *, delimiter: str = "/", start_after: str = ""
    ) -> CommonPrefixes:
        """See `Store.common_prefixes`."""
        return self._objects.common_prefixes(prefix, delimiter, start_after)

    async def request_restore(
        self, key: str, *, days: int, tier: RestoreTier = "Standard", version_id: str | None = None
    ) -> None:
        """See `Store.request_restore`; `complete_restores` brings the copy."""
        self._objects.ask_restore(key, version_id)

    def complete_restores(self) -> None:
        """What was asked for with `request_restore` can be read from now on."""
        self._objects.complete_restores()

    async def copy(self, source_key: str, key: str, *, if_match: str | None = None) -> PutResult:
        """See `Store.copy`."""
        source = self._objects.find(source_key, None)
        if if_match and source.info.etag != if_match:
            raise _changed(source_key)
        info = replace(source.info, key=key, last_modified=self._now())
        version_id = self._objects.add(Kept(info, source.data), self.mode)
        return PutResult(info.etag, version_id, ChecksumKind.NONE)

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
        before = self._objects.latest(key)
        if upload_id not in self._uploads and before and is_this_object(before.info, checksums, parts):
            return PutResult(before.info.etag, before.info.version_id, ChecksumKind.CRC64NVME)
        upload = self._upload(key, upload_id)
        data = _taken(
            [self._part_data(upload, part, last=part is parts[-1]) for part in parts], checksums, key
        )
        etag = composite_etag(parts)
        if etag is None:
            raise StoreError(f"memory upload of {key!r}: a part has no ETag", status=400, code="InvalidPart")
        first = parts[0].size_bytes if len(parts) > 1 else None
        kept = self._keep(
            key, data, etag, checksums, upload.metadata, if_none_match=if_none_match, first_part_bytes=first
        )
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
        first_part_bytes: int | None = None,
    ) -> PutResult:
        if if_none_match and self._objects.latest(key):
            raise _changed(key)
        told = {kind.value: encode(value_of(sums, kind), kind) for kind in _CRCS}
        info = ObjectInfo(
            key, len(data), etag, self._now(), None, metadata, sums.crc64nvme, sums.crc32c, told,
            archived=metadata.storage_class in ARCHIVE_CLASSES, tag_count=len(metadata.tags) or None,
        )  # fmt: skip
        version_id = self._objects.add(Kept(info, data, first_part_bytes=first_part_bytes), self.mode)
        return PutResult(etag, version_id, ChecksumKind.CRC64NVME)


def _taken(body: Buffers, checksums: Checksums, key: str) -> bytes:
    """The body in one piece, if it is the one the sums are of."""
    if checksums_of(body) != checksums:
        raise ChecksumRejectedError(f"memory object {key!r}: other bytes", status=400, code="BadDigest")
    return b"".join(body)


def _changed(key: str) -> PreconditionError:
    return PreconditionError(f"memory object {key!r} is another", status=412, code="PreconditionFailed")


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
