"""Copying within a bucket, by the store itself: one request up to 5 GiB, beyond that in parts, some at once.

The source is pinned by its ETag, so that parts of two objects are never mixed. CopyObject takes all metadata
along; an upload in parts is given it anew, tags included. S3 computes the sums of a copy itself: the bytes
never come here, so there is nothing of ours to compare them with.
"""

from __future__ import annotations

import asyncio

from transfer.core.object_metadata import to_headers
from transfer.core.parts import PartRange, plan_parts
from transfer.core.s3_limits import S3Limits
from transfer.core.sigv4 import encode_path
from transfer.core.sizes import MIB
from transfer.stores.contract import ChecksumKind, ObjectInfo, PutResult
from transfer.stores.s3_answers import etag_of, version_id
from transfer.stores.s3_connection import Request, S3Connection
from transfer.stores.xml import escape

_AT_ONCE = 8
_PART_BYTES = 512 * MIB  # a copied part costs one request and no traffic: few and large


async def copy_whole(connection: S3Connection, source: ObjectInfo, key: str) -> PutResult:
    """Copy an object in one request.

    Raises:
        PreconditionError: the source was changed meanwhile.
    """
    document, headers = await connection.ask(Request("PUT", key, headers=_from(connection, source)))
    return PutResult(etag_of(document.value("ETag")), version_id(headers), ChecksumKind.NONE)


async def copy_in_parts(
    connection: S3Connection, source: ObjectInfo, key: str, limits: S3Limits
) -> PutResult:
    """Copy an object by an upload whose parts are ranges of the source; given up as a whole on any error.

    Args:
        connection: of the bucket.
        source: with its tags.
        key: of the copy.
        limits: of the endpoint.

    Raises:
        PreconditionError: the source was changed meanwhile.
    """
    begun, _ = await connection.ask(Request("POST", key, [("uploads", "")], to_headers(source.metadata)))
    upload = ("uploadId", begun.value("UploadId"))
    try:
        etags = await _copy_parts(connection, source, key, upload, limits)
        listed = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{escape(etag)}&quot;</ETag></Part>"
            for number, etag in enumerate(etags, 1)
        )
        document = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        done, headers = await connection.ask(Request("POST", key, [upload], body=[document]))
    except BaseException:
        async with await connection.send(Request("DELETE", key, [upload])):
            raise
    return PutResult(etag_of(done.value("ETag")), version_id(headers), ChecksumKind.NONE)


async def _copy_parts(
    connection: S3Connection, source: ObjectInfo, key: str, upload: tuple[str, str], limits: S3Limits
) -> list[str]:
    """Copy all ranges; the ETags of the parts in order."""
    plan = plan_parts(source.size_bytes, min(_PART_BYTES, limits.part_max_bytes), limits)
    places = asyncio.Semaphore(_AT_ONCE)

    async def copy_part(part: PartRange) -> str:
        last_byte = part.offset_bytes + part.size_bytes - 1
        headers = _from(connection, source)
        headers["x-amz-copy-source-range"] = f"bytes={part.offset_bytes}-{last_byte}"
        async with places:
            request = Request("PUT", key, [("partNumber", str(part.number)), upload], headers)
            document, _ = await connection.ask(request)
        return etag_of(document.value("ETag"))

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(copy_part(part)) for part in plan]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


def _from(connection: S3Connection, source: ObjectInfo) -> dict[str, str]:
    return {
        "x-amz-copy-source": encode_path(f"/{connection.endpoint.bucket}/{source.key}"),
        "x-amz-copy-source-if-match": f'"{source.etag}"',
    }
