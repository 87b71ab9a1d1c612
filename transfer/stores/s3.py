"""An S3 bucket as a `Store`: each method of the contract as the request S3 wants for it.

The sums of bodies are chosen by what `probe` found the endpoint to check (s3_integrity.py). Listings are
fetched page by page as they are taken (s3_listing.py). A version that was asked for is the one that is given.
`If-None-Match` is sent where it is wanted; as long as nobody knows whether the endpoint honours it, a HEAD
goes first, which catches all but a race.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from transfer.core.object_metadata import NO_METADATA, ObjectMetadata, to_headers
from transfer.core.s3_limits import AWS_LIMITS, S3Limits
from transfer.errors import NotFoundError, PreconditionError, StoreError
from transfer.stores.checksums import is_this_object, size_of
from transfer.stores.contract import (
    BegunUpload,
    Buffers,
    Capabilities,
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
from transfer.stores.s3_answers import (
    etag_of,
    listed_parts,
    listed_uploads,
    made_marker,
    version_id,
)
from transfer.stores.s3_complete import complete_request
from transfer.stores.s3_connection import Request, S3Connection
from transfer.stores.s3_copy import copy_in_parts, copy_whole
from transfer.stores.s3_errors import unreadable
from transfer.stores.s3_integrity import check_body, upload_headers, verify_completed
from transfer.stores.s3_listing import bucket_versioning, list_objects, list_prefixes, list_versions
from transfer.stores.s3_pages import pages
from transfer.stores.s3_probe import find_capabilities
from transfer.stores.s3_reading import (
    open_object,
    read_first_part_size,
    read_head,
    read_tags,
    read_whole,
    version_query,
)
from transfer.stores.s3_restore import request_restore

_IF_NONE_MATCH = {"if-none-match": "*"}


class S3Store:
    """One S3 bucket; keeps the contract of `stores.contract.Store`."""

    def __init__(self, connection: S3Connection, limits: S3Limits = AWS_LIMITS) -> None:
        """Take over a connection; it is closed with the store."""
        self._connection = connection
        self._limits = limits
        self._capabilities: Capabilities | None = None
        self._probing = asyncio.Lock()

    async def probe(self) -> Capabilities:
        """See `Store.probe`."""
        if self._capabilities is None:
            async with self._probing:
                if self._capabilities is None:
                    self._capabilities = await find_capabilities(self._connection)
        return self._capabilities

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
        kind = (await self.probe()).checksum
        check = await check_body(body, checksums, kind)
        headers = {**to_headers(metadata), **check.headers}
        if if_none_match:
            headers |= await self._absent(key)
        request = Request("PUT", key, headers=headers, body=body)
        try:
            response = await self._connection.send(request)
        except StoreError as error:
            self._learn_preconditions(if_none_match, error)
            raise
        async with response:
            answer = response.headers
            etag = etag_of(answer.get("ETag", ""))
            check.verify(answer, etag, self._describe(request))
            return PutResult(etag, version_id(answer), kind)

    async def head(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        """See `Store.head`."""
        return await read_head(self._connection, key, version_id)

    def get(
        self,
        key: str,
        *,
        version_id: str | None = None,
        offset_bytes: int = 0,
        length_bytes: int | None = None,
        if_match: str | None = None,
    ) -> AbstractAsyncContextManager[ObjectBody]:
        """See `Store.get`."""
        return open_object(self._connection, key, version_id, offset_bytes, length_bytes, if_match)

    async def read_whole(
        self, key: str, *, version_id: str | None, limit_bytes: int
    ) -> tuple[ObjectInfo, bytes | None]:
        """See `stores.whole.read_whole`."""
        return await read_whole(self._connection, key, version_id, limit_bytes)

    async def tags(self, key: str, *, version_id: str | None = None) -> Mapping[str, str]:
        """See `Store.tags`."""
        return await read_tags(self._connection, key, version_id)

    async def first_part_size(self, key: str, *, version_id: str | None = None) -> int | None:
        """See `Store.first_part_size`."""
        return await read_first_part_size(self._connection, key, version_id)

    async def delete(self, key: str, *, version_id: str | None = None) -> str | None:
        """See `Store.delete`."""
        told = await self._remove(Request("DELETE", key, version_query(version_id)))
        return made_marker(told) if version_id is None else None

    def list(self, prefix: str = "", *, start_after: str = "") -> AsyncGenerator[ListedObject]:
        """See `Store.list`."""
        return list_objects(self._connection, prefix, start_after)

    async def versioning(self) -> Versioning:
        """See `Store.versioning`."""
        return await bucket_versioning(self._connection)

    def versions(
        self, prefix: str = "", *, start_after: str = "", after_version: str = ""
    ) -> AsyncGenerator[ListedVersion]:
        """See `Store.versions`."""
        return list_versions(self._connection, prefix, start_after, after_version)

    async def common_prefixes(
        self, prefix: str = "", *, delimiter: str = "/", start_after: str = ""
    ) -> CommonPrefixes:
        """See `Store.common_prefixes`."""
        return await list_prefixes(self._connection, prefix, delimiter, start_after)

    async def request_restore(
        self, key: str, *, days: int, tier: RestoreTier = "Standard", version_id: str | None = None
    ) -> None:
        """See `Store.request_restore`."""
        await request_restore(self._connection, key, days=days, tier=tier, version_id=version_id)

    async def copy(self, source_key: str, key: str, *, if_match: str | None = None) -> PutResult:
        """See `Store.copy`."""
        source = await self.head(source_key)
        if if_match and source.etag != if_match:
            raise PreconditionError(f"s3://{self._bucket}/{source_key} was changed", status=412)
        if source.size_bytes <= self._limits.single_copy_max_bytes:
            return await copy_whole(self._connection, source, key)
        metadata = replace(source.metadata, tags=await self.tags(source_key))
        return await copy_in_parts(self._connection, replace(source, metadata=metadata), key, self._limits)

    async def create_upload(self, key: str, *, metadata: ObjectMetadata = NO_METADATA) -> BegunUpload:
        """See `Store.create_upload`."""
        headers = to_headers(metadata) | upload_headers(await self.probe())
        document, _ = await self._connection.ask(Request("POST", key, [("uploads", "")], headers))
        upload_id = document.value("UploadId")
        if not upload_id:
            raise unreadable(f"POST s3://{self._bucket}/{key}", self._connection.endpoint, "no upload id")
        return BegunUpload(upload_id)

    async def put_part(
        self, key: str, upload_id: str, number: int, body: Buffers, *, checksums: Checksums
    ) -> Part:
        """See `Store.put_part`."""
        check = await check_body(body, checksums, (await self.probe()).checksum)
        query = [("partNumber", str(number)), ("uploadId", upload_id)]
        request = Request("PUT", key, query, check.headers, body)
        async with await self._connection.send(request) as response:
            etag = etag_of(response.headers.get("ETag", ""))
            check.verify(response.headers, etag, f"part {number} of {self._describe(request)}")
        return Part(number, size_of(body), etag, checksums)

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
        capabilities = await self.probe()
        headers = await self._absent(key) if if_none_match else {}
        request = complete_request(
            key, upload_id, parts, checksums=checksums, capabilities=capabilities, headers=headers
        )
        try:
            document, answer = await self._connection.ask(request)
        except NotFoundError as error:
            return await self._completed_before(key, parts, checksums, error)
        except StoreError as error:
            self._learn_preconditions(if_none_match, error)
            raise
        verify_completed(document, checksums, parts, capabilities.checksum, self._describe(request))
        return PutResult(etag_of(document.value("ETag")), version_id(answer), capabilities.checksum)

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """See `Store.abort_upload`."""
        await self._remove(Request("DELETE", key, [("uploadId", upload_id)]))

    async def list_parts(self, key: str, upload_id: str) -> AsyncIterator[Part]:
        """See `Store.list_parts`."""
        query, markers = {"uploadId": upload_id}, {"NextPartNumberMarker": "part-number-marker"}
        async for page in pages(self._connection, query, markers, listed_parts, key=key):
            for part in page:
                yield part

    async def list_uploads(self, prefix: str = "") -> AsyncIterator[UploadInfo]:
        """See `Store.list_uploads`."""
        query = {"uploads": "", "encoding-type": "url", "prefix": prefix}
        markers = {"NextKeyMarker": "key-marker", "NextUploadIdMarker": "upload-id-marker"}
        root = "ListMultipartUploadsResult"
        async for page in pages(self._connection, query, markers, listed_uploads, root=root):
            for upload in page:
                yield upload

    async def aclose(self) -> None:
        """See `Store.aclose`."""
        await self._connection.transport.aclose()

    @property
    def _bucket(self) -> str:
        return self._connection.endpoint.bucket

    def _describe(self, request: Request) -> str:
        return request.describe(self._connection.endpoint)

    async def _remove(self, request: Request) -> Mapping[str, str]:
        """The headers of the answer; none where there was nothing."""
        try:
            async with await self._connection.send(request) as response:
                return response.headers
        except NotFoundError as error:
            if error.code == "NoSuchBucket":
                raise
            return {}

    async def _absent(self, key: str) -> dict[str, str]:
        """The precondition that there is no object yet; checked by hand where the store may not know it."""
        known = (await self.probe()).if_none_match
        if known is not True:
            try:
                await self.head(key)
            except NotFoundError:
                pass
            else:
                raise PreconditionError(f"s3://{self._bucket}/{key} is there already", status=412)
        return {} if known is False else _IF_NONE_MATCH

    def _learn_preconditions(self, asked: bool, error: StoreError) -> None:
        """Remember what an answer to `If-None-Match` tells: honoured (412), or not implemented (501)."""
        if asked and self._capabilities and error.status in {412, 501}:
            self._capabilities = replace(self._capabilities, if_none_match=error.status == 412)

    async def _completed_before(
        self, key: str, parts: Sequence[Part], checksums: Checksums, missing: NotFoundError
    ) -> PutResult:
        """The upload is gone: fine where it became this object, and only the answer was lost."""
        if missing.code == "NoSuchBucket":
            raise missing
        try:
            info = await self.head(key)
        except NotFoundError:
            raise missing from None
        if not is_this_object(info, checksums, parts):
            raise missing
        return PutResult(info.etag, info.version_id, (await self.probe()).checksum)
