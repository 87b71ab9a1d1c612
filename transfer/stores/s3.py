"""An S3 bucket as a `Store`: each method of the contract as the request S3 wants for it.

The sums of bodies are chosen by what `probe` found the endpoint to check (s3_integrity.py). Listings are
fetched page by page as they are taken, and an endpoint that does not list in UTF-8 byte order is an error.
`If-None-Match` is sent where it is wanted; as long as nobody knows whether the endpoint honours it, a HEAD
goes first, which catches all but a race.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

from aiohttp import ClientResponse

from transfer.core.object_metadata import NO_METADATA, ObjectMetadata, to_headers
from transfer.core.s3_limits import AWS_LIMITS, S3Limits
from transfer.errors import NotFoundError, PreconditionError, StoreError
from transfer.stores.checksums import is_this_object, size_of
from transfer.stores.contract import (
    BegunUpload,
    Buffers,
    Capabilities,
    Checksums,
    ListedObject,
    ObjectBody,
    ObjectInfo,
    Part,
    PutResult,
    UploadInfo,
)
from transfer.stores.s3_answers import (
    etag_of,
    listed_objects,
    listed_parts,
    listed_uploads,
    object_info,
    tag_set,
    version_id,
)
from transfer.stores.s3_body import S3Body, range_header
from transfer.stores.s3_complete import complete_request
from transfer.stores.s3_connection import Request, S3Connection
from transfer.stores.s3_copy import copy_in_parts, copy_whole
from transfer.stores.s3_errors import unreadable
from transfer.stores.s3_integrity import check_body, upload_headers, verify_completed
from transfer.stores.s3_pages import pages
from transfer.stores.s3_probe import find_capabilities
from transfer.stores.xml import XmlError

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

    async def head(self, key: str) -> ObjectInfo:
        """See `Store.head`."""
        request = Request("HEAD", key, headers={"x-amz-checksum-mode": "ENABLED"})
        async with await self._connection.send(request) as response:
            return self._info(request, response)

    @asynccontextmanager
    async def get(
        self, key: str, *, offset_bytes: int = 0, length_bytes: int | None = None, if_match: str | None = None
    ) -> AsyncIterator[ObjectBody]:
        """See `Store.get`."""
        headers = {"x-amz-checksum-mode": "ENABLED"} | range_header(offset_bytes, length_bytes)
        if if_match:
            headers["if-match"] = f'"{if_match}"'
        request = Request("GET", key, headers=headers)
        async with await self._connection.send(request) as response:
            info = self._info(request, response)
            if if_match and info.etag != if_match:
                raise PreconditionError(f"{self._describe(request)}: the object was changed", status=412)
            if "range" in headers and not response.headers.get("Content-Range", "").startswith(
                f"bytes {offset_bytes}-"
            ):  # the header tells more than the status: some stores answer ranges with 200
                raise StoreError(f"{self._describe(request)}: the store does not give ranges")
            yield S3Body(info, response, self._connection.transport)

    async def tags(self, key: str) -> Mapping[str, str]:
        """See `Store.tags`."""
        document, _ = await self._connection.ask(Request("GET", key, query=[("tagging", "")]))
        return tag_set(document)

    async def delete(self, key: str, *, version_id: str | None = None) -> None:
        """See `Store.delete`."""
        query = [("versionId", version_id)] if version_id else []
        await self._remove(Request("DELETE", key, query=query))

    async def list(self, prefix: str = "", *, start_after: str = "") -> AsyncGenerator[ListedObject]:
        """See `Store.list`."""
        query = {"list-type": "2", "encoding-type": "url", "prefix": prefix, "start-after": start_after}
        last = start_after.encode()
        async for page in pages(self._connection, query, {"NextContinuationToken": "continuation-token"}):
            with self._readable("LIST", prefix):
                objects = [*listed_objects(page)]
            for item in objects:
                here = item.key.encode()
                if here <= last or not item.key.startswith(prefix):
                    raise self._unordered(prefix, item.key)
                last = here
                yield item

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
        markers = {"NextPartNumberMarker": "part-number-marker"}
        async for page in pages(self._connection, {"uploadId": upload_id}, markers, key=key):
            with self._readable("LIST PARTS", key):
                parts = [*listed_parts(page)]
            for part in parts:
                yield part

    async def list_uploads(self, prefix: str = "") -> AsyncIterator[UploadInfo]:
        """See `Store.list_uploads`."""
        query = {"uploads": "", "encoding-type": "url", "prefix": prefix}
        markers = {"NextKeyMarker": "key-marker", "NextUploadIdMarker": "upload-id-marker"}
        async for page in pages(self._connection, query, markers):
            with self._readable("LIST UPLOADS", prefix):
                uploads = [*listed_uploads(page)]
            for upload in uploads:
                yield upload

    async def aclose(self) -> None:
        """See `Store.aclose`."""
        await self._connection.transport.aclose()

    @property
    def _bucket(self) -> str:
        return self._connection.endpoint.bucket

    def _describe(self, request: Request) -> str:
        return request.describe(self._connection.endpoint)

    async def _remove(self, request: Request) -> None:
        try:
            async with await self._connection.send(request):
                pass
        except NotFoundError as error:
            if error.code == "NoSuchBucket":
                raise

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

    def _info(self, request: Request, response: ClientResponse) -> ObjectInfo:
        with self._readable(request.method, request.key):
            return object_info(request.key, response.headers)

    @contextmanager
    def _readable(self, method: str, key: str) -> Iterator[None]:
        try:
            yield
        except (XmlError, UnicodeError) as error:
            endpoint = self._connection.endpoint
            raise unreadable(f"{method} s3://{self._bucket}/{key}", endpoint, error) from None

    def _unordered(self, prefix: str, key: str) -> StoreError:
        return StoreError(
            f"{self._connection.endpoint} lists s3://{self._bucket}/{prefix} out of order, at {key!r}",
            remedy="it does not list in UTF-8 byte order, as S3 does; use another endpoint for this bucket",
        )
