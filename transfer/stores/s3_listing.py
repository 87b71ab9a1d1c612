"""A bucket's listings: its objects, all their versions, its folders; and whether it keeps versions.

Whatever merges listings, or goes on behind a key, relies on their order. So an endpoint that does not list in
UTF-8 byte order, or gives what was not asked for, is an error and never a shorter listing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable

from transfer.errors import StoreError
from transfer.stores.contract import CommonPrefixes, ListedObject, ListedVersion, Versioning
from transfer.stores.s3_answers import common_prefixes, listed_objects, listed_versions
from transfer.stores.s3_connection import Request, S3Connection
from transfer.stores.s3_errors import unreadable
from transfer.stores.s3_pages import pages
from transfer.stores.xml import Element

_OBJECTS = "ListBucketResult"
_VERSIONING = ("VersioningConfiguration", "GetBucketVersioningResponse")  # the second one is moto's
_NOT_KNOWN = {"NotImplemented", "MethodNotAllowed"}


async def list_objects(
    connection: S3Connection, prefix: str, start_after: str
) -> AsyncGenerator[ListedObject]:
    """See `Store.list`."""
    query = {"list-type": "2", "encoding-type": "url", "prefix": prefix, "start-after": start_after}
    markers = {"NextContinuationToken": "continuation-token"}
    last = start_after.encode()
    async for page in pages(connection, query, markers, listed_objects, root=_OBJECTS):
        for item in page:
            here = item.key.encode()
            if here <= last or not item.key.startswith(prefix):
                raise _unordered(connection, prefix, item.key)
            last = here
            yield item


async def list_versions(
    connection: S3Connection, prefix: str, start_after: str, after_version: str
) -> AsyncGenerator[ListedVersion]:
    """See `Store.versions`."""
    query = {"versions": "", "encoding-type": "url", "prefix": prefix, "key-marker": start_after}
    query["version-id-marker"] = after_version
    markers = {"NextKeyMarker": "key-marker", "NextVersionIdMarker": "version-id-marker"}
    key, last, seen = start_after, start_after.encode(), {after_version}
    async for page in pages(connection, query, markers, listed_versions, root="ListVersionsResult"):
        for item in page:
            if item.key == start_after and not after_version:
                continue  # the marker's own versions, which some stores list once more
            here = item.key.encode()
            if item.key != key:
                key, seen = item.key, set()
            if here < last or item.version_id in seen or not key.startswith(prefix):
                raise _unordered(connection, prefix, key)
            last = here
            seen.add(item.version_id)
            yield item


async def list_prefixes(
    connection: S3Connection, prefix: str, delimiter: str, start_after: str
) -> CommonPrefixes:
    """See `Store.common_prefixes`."""
    request = Request(
        "GET",
        query=[
            ("list-type", "2"),
            ("encoding-type", "url"),
            ("prefix", prefix),
            ("delimiter", delimiter),
            *([("start-after", start_after)] if start_after else []),
        ],
    )
    page, _ = await connection.ask(request)
    doing = f"LIST s3://{connection.endpoint.bucket}/{prefix}"
    if page.name != _OBJECTS:
        raise unreadable(doing, connection.endpoint, f"it is {page.name}, not {_OBJECTS}")
    found = [name for name in _read(page, doing, connection) if name.encode() > start_after.encode()]
    for name in found:
        if not (name.startswith(prefix) and name.endswith(delimiter)):
            raise _unordered(connection, prefix, name)
    more = page.value("IsTruncated") == "true"
    return CommonPrefixes(tuple(sorted(set(found), key=str.encode)), complete=not more)


async def bucket_versioning(connection: S3Connection) -> Versioning:
    """See `Store.versioning`."""
    request = Request("GET", query=[("versioning", "")])
    try:
        page, _ = await connection.ask(request)
    except StoreError as error:
        if error.status in {405, 501} or error.code in _NOT_KNOWN:
            return "off"
        raise
    if page.name not in _VERSIONING:
        doing = request.describe(connection.endpoint)
        raise unreadable(doing, connection.endpoint, f"it is {page.name}, not {_VERSIONING[0]}")
    told: dict[str, Versioning] = {"enabled": "enabled", "suspended": "suspended"}
    return told.get(page.value("Status").lower(), "off")


def _read(page: Element, doing: str, connection: S3Connection) -> Iterable[str]:
    try:
        return [*common_prefixes(page)]
    except UnicodeError as error:
        raise unreadable(doing, connection.endpoint, error) from None


def _unordered(connection: S3Connection, prefix: str, key: str) -> StoreError:
    endpoint = connection.endpoint
    return StoreError(
        f"{endpoint} lists s3://{endpoint.bucket}/{prefix} out of order, at {key!r}",
        remedy="it does not list in UTF-8 byte order, as S3 does; use another endpoint for this bucket",
    )
