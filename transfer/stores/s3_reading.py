"""Reading an object: what S3 knows of it, its bytes, its tags. An answer about another version is none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from transfer.errors import PreconditionError, StoreError
from transfer.stores.contract import ObjectBody, ObjectInfo
from transfer.stores.s3_answers import number, object_info, tag_set, version_id
from transfer.stores.s3_body import S3Body, range_header
from transfer.stores.s3_connection import Request, S3Connection
from transfer.stores.s3_errors import unreadable
from transfer.stores.xml import XmlError

_WITH_SUMS = {"x-amz-checksum-mode": "ENABLED"}


def version_query(version: str | None) -> Sequence[tuple[str, str]]:
    """The parameter that names a version; none for the latest."""
    return [("versionId", version)] if version is not None else []


async def read_head(connection: S3Connection, key: str, version: str | None) -> ObjectInfo:
    """See `Store.head`."""
    request = Request("HEAD", key, version_query(version), _WITH_SUMS)
    async with await connection.send(request) as response:
        return _info(connection, request, response.headers, version)


async def read_first_part_size(connection: S3Connection, key: str, version: str | None) -> int | None:
    """See `Store.first_part_size`."""
    request = Request("HEAD", key, [("partNumber", "1"), *version_query(version)])
    async with await connection.send(request) as response:
        answer = response.headers
    try:  # a store that knows no parts tells of the whole object, and not of how many parts there are
        several = number(answer.get("x-amz-mp-parts-count", "1")) > 1
        return number(answer.get("Content-Length", "")) if several else None
    except XmlError as error:
        raise unreadable(request.describe(connection.endpoint), connection.endpoint, error) from None


@asynccontextmanager
async def open_object(
    connection: S3Connection,
    key: str,
    version: str | None,
    offset_bytes: int,
    length_bytes: int | None,
    if_match: str | None,
) -> AsyncIterator[ObjectBody]:
    """See `Store.get`."""
    headers = _WITH_SUMS | range_header(offset_bytes, length_bytes)
    if if_match:
        headers["if-match"] = f'"{if_match}"'
    request = Request("GET", key, version_query(version), headers)
    doing = request.describe(connection.endpoint)
    async with await connection.send(request) as response:
        info = _info(connection, request, response.headers, version)
        if if_match and info.etag != if_match:
            raise PreconditionError(f"{doing}: the object was changed", status=412)
        if "range" in headers and not response.headers.get("Content-Range", "").startswith(
            f"bytes {offset_bytes}-"
        ):  # the header tells more than the status: some stores answer ranges with 200
            raise StoreError(f"{doing}: the store does not give ranges")
        yield S3Body(info, response, connection.transport)


async def read_whole(
    connection: S3Connection, key: str, version: str | None, limit_bytes: int
) -> tuple[ObjectInfo, bytes | None]:
    """An object with all of its bytes, or without them where they are more than the limit; as `Store.get`."""
    request = Request("GET", key, version_query(version), _WITH_SUMS)
    async with await connection.send(request) as response:
        info = _info(connection, request, response.headers, version)
        if info.size_bytes > limit_bytes:
            return info, None
        content = b"".join([piece async for piece in connection.transport.stream(response)])
    if len(content) != info.size_bytes:
        doing = request.describe(connection.endpoint)
        raise StoreError(f"{doing}: {len(content):,} bytes came, {info.size_bytes:,} were told")
    return info, content


async def read_tags(connection: S3Connection, key: str, version: str | None) -> Mapping[str, str]:
    """See `Store.tags`."""
    request = Request("GET", key, [("tagging", ""), *version_query(version)])
    document, answer = await connection.ask(request)
    if document.name != "Tagging":
        raise unreadable(request.describe(connection.endpoint), connection.endpoint, "no tags")
    if version_id(answer):
        _check_version(connection, request, answer, version)
    return tag_set(document)


def _info(
    connection: S3Connection, request: Request, answer: Mapping[str, str], version: str | None
) -> ObjectInfo:
    _check_version(connection, request, answer, version)
    try:
        return object_info(request.key, answer)
    except XmlError as error:
        raise unreadable(request.describe(connection.endpoint), connection.endpoint, error) from None


def _check_version(
    connection: S3Connection, request: Request, answer: Mapping[str, str], asked: str | None
) -> None:
    """A store that knows no versions gives the object as it is now, which is not what was asked for."""
    told = version_id(answer) or "null"
    if asked is not None and told != asked:
        doing = request.describe(connection.endpoint)
        raise StoreError(
            f"{doing}: version {asked} was asked for, the answer is about version {told}",
            remedy="the store does not keep versions; use another endpoint for this bucket",
        )
