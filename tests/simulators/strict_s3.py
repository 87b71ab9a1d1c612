"""An S3 server on loopback, as strict as Amazon's: signatures, all sums, preconditions, sizes of parts.

    async with strict_s3("bucket") as server:
        ...  # server.endpoint_url, server.store: what is in the bucket

It stores in a `MemoryStore` and runs in the test's own event loop. `faults` (see faults.py) break single
requests. Amazon's answers that no free server gives are here to be tested against: CRC64NVME of whole
objects, 412 on `If-None-Match`, url-encoded listings in small pages, copies of ranges, versions and delete
markers in the order of their making, archived objects that must be restored first.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qsl, quote_plus, unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from aiohttp import web
from awscrt import checksums as crt

from tests.simulators.faults import Fault, fault_middleware
from transfer.core import sigv4
from transfer.core.object_metadata import ObjectMetadata, from_headers, to_headers
from transfer.core.s3_limits import AWS_LIMITS, S3Limits
from transfer.errors import StoreError
from transfer.stores.checksums import checksums_of, combine
from transfer.stores.contract import ARCHIVE_CLASSES, ListedVersion, ObjectInfo, Part
from transfer.stores.memory import MemoryStore

ACCESS_KEY = "STRICTACCESSKEY"
SECRET_KEY = "strict/secret+key"
PAGE = 250  # small pages, so that a thousand keys are several

_SUMS = {
    "x-amz-checksum-crc64nvme": (crt.crc64nvme, 8),
    "x-amz-checksum-crc32c": (crt.crc32c, 4),
}


class S3Error(Exception):
    """Becomes `<Error>` with this status and code."""

    def __init__(self, status: int, code: str, extra: str = "") -> None:
        super().__init__(code)
        self.status, self.code, self.extra = status, code, extra


@dataclass
class StrictServer:
    """A running server.

    Attributes:
        store: what is in its bucket.
        faults: planned; each is struck out when it has fired.
        requests: "METHOD /path?query" of all that arrived.
        accepted_token: session tokens other than this one are expired.
        understands: the sums it knows at all, in lower case.
    """

    bucket: str
    store: MemoryStore
    region: str = "us-east-1"
    endpoint_url: str = ""
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    accepted_token: str | None = None
    understands: tuple[str, ...] = ("crc64nvme", "crc32c")
    clock_ahead_s: float = 0.0


_SERVER = web.AppKey("server", StrictServer)


@asynccontextmanager
async def strict_s3(bucket: str, *, limits: S3Limits = AWS_LIMITS) -> AsyncIterator[StrictServer]:
    """Run a server with one bucket."""
    server = StrictServer(bucket, MemoryStore(limits=limits))
    app = web.Application(middlewares=[fault_middleware(server.faults), _errors], client_max_size=2**30)
    app[_SERVER] = server
    app.router.add_route("*", "/{tail:.*}", _handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.endpoint_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


@web.middleware
async def _errors(request: web.Request, handler):
    try:
        return await handler(request)
    except S3Error as error:
        status, code, extra = error.status, error.code, error.extra
    except StoreError as error:
        status, code, extra = error.status, error.code, ""
    if request.method == "HEAD":
        return web.Response(status=status)
    return _xml(f"<Error><Code>{code}</Code><Message>told by the test</Message>{extra}</Error>", status)


async def _handle(request: web.Request) -> web.StreamResponse:
    server = request.app[_SERVER]
    server.requests.append(f"{request.method} {request.raw_path}")
    raw_path = request.raw_path.partition("?")[0]
    _check_signature(server, request, raw_path)
    bucket, _, raw_key = raw_path[1:].partition("/")
    if bucket != server.bucket:
        raise S3Error(404, "NoSuchBucket")
    key = unquote(raw_key, errors="strict")
    return await (_object(server, request, key) if key else _bucket(server, request))


def _check_signature(server: StrictServer, request: web.Request, raw_path: str) -> None:
    """What a server does with core.sigv4: build the canonical request anew from what arrived."""
    authorization = request.headers.get("Authorization", "")
    if not authorization:
        raise S3Error(403, "AccessDenied")
    fields = dict(item.strip().split("=", 1) for item in authorization.partition(" ")[2].split(","))
    access_key, date, region, *_ = fields["Credential"].split("/")
    if access_key != server.access_key:
        raise S3Error(403, "InvalidAccessKeyId")
    if region != server.region:
        raise S3Error(400, "AuthorizationHeaderMalformed", f"<Region>{server.region}</Region>")
    token = request.headers.get("x-amz-security-token")
    if token != server.accepted_token:
        raise S3Error(400, "ExpiredToken")
    names = fields["SignedHeaders"].split(";")
    unsigned = {name.lower() for name in request.headers if name.lower().startswith("x-amz-")} - {*names}
    if unsigned:
        raise S3Error(403, "AccessDenied", f"<Headers>{unsigned}</Headers>")
    at = request.headers["x-amz-date"]
    sent = datetime.strptime(at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if abs(datetime.now(UTC) + timedelta(seconds=server.clock_ahead_s) - sent) > timedelta(minutes=15):
        raise S3Error(403, "RequestTimeTooSkewed")
    canonical = sigv4.canonical_request(
        request.method,
        raw_path,
        sigv4.encode_query(request.query.items()),
        {name: request.headers.get(name, "") for name in names},
        request.headers["x-amz-content-sha256"],
    )
    scope = sigv4.Scope(date, region)
    expected = sigv4.signature(server.secret_key, sigv4.string_to_sign(canonical, at, scope), scope)
    if not hmac.compare_digest(expected, fields["Signature"]):
        raise S3Error(403, "SignatureDoesNotMatch")


async def _bucket(server: StrictServer, request: web.Request) -> web.StreamResponse:
    query = request.query
    if "versioning" in query and request.method == "PUT":
        asked = ElementTree.fromstring(await request.text())
        server.store.mode = next(item.text.lower() for item in asked.iter() if item.tag.endswith("Status"))
        return web.Response()
    if "versioning" in query:
        status = {"enabled": "Enabled", "suspended": "Suspended"}.get(server.store.mode)
        told = f"<Status>{status}</Status>" if status else ""
        return _xml(f"<VersioningConfiguration>{told}</VersioningConfiguration>")
    if "versions" in query:
        return await _versions(server, query)
    if "uploads" in query:
        uploads = [upload async for upload in server.store.list_uploads(query.get("prefix", ""))]
        marker = (query.get("key-marker", "").encode(), query.get("upload-id-marker", ""))
        rest = [upload for upload in uploads if (upload.key.encode(), upload.upload_id) > marker]
        lines = [
            f"<Upload><Key>{quote_plus(upload.key)}</Key><UploadId>{upload.upload_id}</UploadId>"
            f"<Initiated>{upload.initiated.isoformat()}</Initiated></Upload>"
            for upload in rest[:PAGE]
        ]
        if len(rest) > PAGE:
            last = rest[PAGE - 1]
            lines += [
                f"<NextKeyMarker>{quote_plus(last.key)}</NextKeyMarker>",
                f"<NextUploadIdMarker>{last.upload_id}</NextUploadIdMarker>",
            ]
        return _page("ListMultipartUploadsResult", lines, more=len(rest) > PAGE)
    if "delimiter" in query:
        return await _prefixes(server, query)
    after = query.get("continuation-token") or query.get("start-after", "")
    found = [item async for item in server.store.list(query.get("prefix", ""), start_after=after)]
    lines = [
        f"<Contents><Key>{quote_plus(item.key)}</Key><Size>{item.size_bytes}</Size><ETag>&quot;{item.etag}"
        f"&quot;</ETag><LastModified>{item.last_modified.isoformat()}</LastModified>"
        f"<StorageClass>{item.storage_class}</StorageClass></Contents>"
        for item in found[:PAGE]
    ]
    if len(found) > PAGE:
        lines.append(f"<NextContinuationToken>{escape(found[PAGE - 1].key)}</NextContinuationToken>")
    return _page("ListBucketResult", lines, more=len(found) > PAGE)


async def _versions(server: StrictServer, query: Mapping[str, str]) -> web.Response:
    after = {"start_after": query.get("key-marker", ""), "after_version": query.get("version-id-marker", "")}
    found = [item async for item in server.store.versions(query.get("prefix", ""), **after)]
    lines = [_version_line(item) for item in found[:PAGE]]
    if len(found) > PAGE:
        last = found[PAGE - 1]
        lines += [
            f"<NextKeyMarker>{quote_plus(last.key)}</NextKeyMarker>",
            f"<NextVersionIdMarker>{last.version_id}</NextVersionIdMarker>",
        ]
    return _page("ListVersionsResult", lines, more=len(found) > PAGE)


def _version_line(item: ListedVersion) -> str:
    told = (
        f"<Key>{quote_plus(item.key)}</Key><VersionId>{item.version_id}</VersionId>"
        f"<IsLatest>{str(item.is_latest).lower()}</IsLatest>"
        f"<LastModified>{item.last_modified.isoformat()}</LastModified>"
    )
    if item.is_delete_marker:
        return f"<DeleteMarker>{told}</DeleteMarker>"
    return (
        f"<Version>{told}<ETag>&quot;{item.etag}&quot;</ETag><Size>{item.size_bytes}</Size>"
        f"<StorageClass>{item.storage_class}</StorageClass></Version>"
    )


async def _prefixes(server: StrictServer, query: Mapping[str, str]) -> web.Response:
    found = await server.store.common_prefixes(
        query.get("prefix", ""), delimiter=query["delimiter"], start_after=query.get("start-after", "")
    )
    lines = [
        f"<CommonPrefixes><Prefix>{quote_plus(name)}</Prefix></CommonPrefixes>"
        for name in found.prefixes[:PAGE]
    ]
    return _page("ListBucketResult", lines, more=len(found.prefixes) > PAGE or not found.complete)


def _page(name: str, lines: Iterable[str], *, more: bool) -> web.Response:
    told = f"<IsTruncated>{str(more).lower()}</IsTruncated><EncodingType>url</EncodingType>"
    return _xml(f'<{name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{told}{"".join(lines)}</{name}>')


async def _object(server: StrictServer, request: web.Request, key: str) -> web.StreamResponse:
    query, method, store = request.query, request.method, server.store
    if method == "DELETE":
        if "uploadId" in query:
            [_ async for _ in store.list_parts(key, query["uploadId"])]  # NoSuchUpload, as S3 says it
            await store.abort_upload(key, query["uploadId"])
        else:
            await store.delete(key, version_id=query.get("versionId"))
        return web.Response(status=204)
    if method in {"GET", "HEAD"}:
        return await _read(server, request, key)
    if method == "POST" and "restore" in query:
        return await _restore(server, request, key)
    if method == "POST":
        return await (_create if "uploads" in query else _complete)(server, request, key)
    return await (_part if "uploadId" in query else _put)(server, request, key)


async def _read(server: StrictServer, request: web.Request, key: str) -> web.StreamResponse:
    store, query = server.store, request.query
    if "uploadId" in query:
        parts = [part async for part in store.list_parts(key, query["uploadId"])]
        rest = [part for part in parts if part.number > int(query.get("part-number-marker", "0"))]
        lines = [
            f"<Part><PartNumber>{part.number}</PartNumber><Size>{part.size_bytes}</Size>"
            f"<ETag>&quot;{part.etag}&quot;</ETag></Part>"
            for part in rest[:PAGE]
        ]
        if len(rest) > PAGE:
            lines.append(f"<NextPartNumberMarker>{rest[PAGE - 1].number}</NextPartNumberMarker>")
        return _page("ListPartsResult", lines, more=len(rest) > PAGE)
    if "tagging" in query:
        tags = (await store.tags(key, version_id=query.get("versionId"))).items()
        told = "".join(f"<Tag><Key>{escape(k)}</Key><Value>{escape(v)}</Value></Tag>" for k, v in tags)
        return _xml(f"<Tagging><TagSet>{told}</TagSet></Tagging>")
    if_match = request.headers.get("If-Match", "").strip('"') or None
    span = request.http_range
    start = span.start or 0
    length = None if span.stop is None else span.stop - start
    version = query.get("versionId")
    info = await store.head(key, version_id=version)
    headers = _headers_of(info)
    if request.method == "HEAD":
        size = info.size_bytes
        if query.get("partNumber") == "1" and (first := await store.first_part_size(key, version_id=version)):
            size, headers["x-amz-mp-parts-count"] = first, info.etag.rpartition("-")[2]
        return web.Response(headers={**headers, "Content-Length": str(size)})
    async with store.get(
        key, version_id=version, offset_bytes=start, length_bytes=length, if_match=if_match
    ) as body:
        data = b"".join([piece async for piece in body])
    if "Range" in request.headers:
        headers["Content-Range"] = f"bytes {start}-{start + len(data) - 1}/{body.info.size_bytes}"
    return web.Response(status=206 if "Range" in request.headers else 200, headers=headers, body=data)


async def _restore(server: StrictServer, request: web.Request, key: str) -> web.Response:
    version = request.query.get("versionId")
    info = await server.store.head(key, version_id=version)
    if info.restoring:
        raise S3Error(409, "RestoreAlreadyInProgress")
    asked = ElementTree.fromstring(await request.text())
    values = {item.tag.rpartition("}")[2]: item.text for item in asked.iter()}
    await server.store.request_restore(key, days=int(values["Days"]), tier=values["Tier"], version_id=version)
    return web.Response(status=202 if info.archived else 200)


def _headers_of(info: ObjectInfo) -> dict[str, str]:
    told: dict[str, str] = {}
    if info.version_id:
        told["x-amz-version-id"] = info.version_id
    if info.metadata.storage_class in ARCHIVE_CLASSES and (info.restoring or not info.archived):
        told["x-amz-restore"] = f'ongoing-request="{str(info.restoring).lower()}"'
    return {
        **told,
        "ETag": f'"{info.etag}"',
        "Last-Modified": format_datetime(info.last_modified.replace(microsecond=0), usegmt=True),
        "x-amz-checksum-type": "FULL_OBJECT",
        "x-amz-checksum-crc64nvme": base64.b64encode(info.crc64nvme.to_bytes(8, "big")).decode(),
        "x-amz-checksum-crc32c": base64.b64encode(info.crc32c.to_bytes(4, "big")).decode(),
        **to_headers(info.metadata),
    }


async def _put(server: StrictServer, request: web.Request, key: str) -> web.Response:
    if "x-amz-copy-source" in request.headers:
        source, etag = _copy_source(request)
        done = await server.store.copy(source, key, if_match=etag)
        return _xml(f"<CopyObjectResult><ETag>&quot;{done.etag}&quot;</ETag></CopyObjectResult>")
    data, echoed = await _body(server, request)
    done = await server.store.put(
        key,
        [data],
        checksums=checksums_of([data]),
        metadata=_metadata(request),
        if_none_match=request.headers.get("If-None-Match") == "*",
    )
    version = {"x-amz-version-id": done.version_id} if done.version_id else {}
    return web.Response(headers={"ETag": f'"{done.etag}"', **version, **echoed})


def _metadata(request: web.Request) -> ObjectMetadata:
    tags = dict(parse_qsl(request.headers.get("x-amz-tagging", ""), keep_blank_values=True))
    return replace(from_headers(request.headers), tags=tags)


async def _create(server: StrictServer, request: web.Request, key: str) -> web.Response:
    algorithm = request.headers.get("x-amz-checksum-algorithm")
    if algorithm and algorithm.lower() not in server.understands:
        raise S3Error(400, "InvalidRequest")
    upload_id = (await server.store.create_upload(key, metadata=_metadata(request))).upload_id
    response = _xml(f"<R><UploadId>{upload_id}</UploadId></R>")
    response.headers["x-amz-checksum-type"] = request.headers.get("x-amz-checksum-type", "FULL_OBJECT")
    return response


async def _part(server: StrictServer, request: web.Request, key: str) -> web.Response:
    number, upload_id = int(request.query["partNumber"]), request.query["uploadId"]
    if "x-amz-copy-source" in request.headers:
        source, etag = _copy_source(request)
        first, last = map(int, request.headers["x-amz-copy-source-range"].removeprefix("bytes=").split("-"))
        async with server.store.get(
            source, offset_bytes=first, length_bytes=last - first + 1, if_match=etag
        ) as body:
            data = b"".join([piece async for piece in body])
        part = await server.store.put_part(key, upload_id, number, [data], checksums=checksums_of([data]))
        return _xml(f"<CopyPartResult><ETag>&quot;{part.etag}&quot;</ETag></CopyPartResult>")
    data, echoed = await _body(server, request)
    part = await server.store.put_part(key, upload_id, number, [data], checksums=checksums_of([data]))
    return web.Response(headers={"ETag": f'"{part.etag}"', **echoed})


async def _complete(server: StrictServer, request: web.Request, key: str) -> web.Response:
    upload_id = request.query["uploadId"]
    kept = {part.number: part async for part in server.store.list_parts(key, upload_id)}
    parts = [kept[number] for number in _asked_parts(await request.text(), kept)]
    checksums = await _checksums_of_parts(server, key, upload_id, parts)
    for name, (_, width) in _SUMS.items():
        value = checksums.crc64nvme if width == 8 else checksums.crc32c
        said = request.headers.get(name)
        if said and said != base64.b64encode(value.to_bytes(width, "big")).decode():
            raise S3Error(400, "BadDigest")
    size = sum(part.size_bytes for part in parts)
    if request.headers.get("x-amz-mp-object-size", str(size)) != str(size):
        raise S3Error(400, "InvalidRequest")
    done = await server.store.complete_upload(
        key,
        upload_id,
        parts,
        checksums=checksums,
        if_none_match=request.headers.get("If-None-Match") == "*",
    )
    crc = base64.b64encode(checksums.crc64nvme.to_bytes(8, "big")).decode()
    response = _xml(
        f"<CompleteMultipartUploadResult><ETag>&quot;{done.etag}&quot;</ETag>"
        f"<ChecksumCRC64NVME>{crc}</ChecksumCRC64NVME></CompleteMultipartUploadResult>"
    )
    if done.version_id:
        response.headers["x-amz-version-id"] = done.version_id
    return response


def _asked_parts(document: str, kept: dict[int, Part]) -> list[int]:
    numbers = []
    for part in ElementTree.fromstring(document):
        values = {child.tag.rpartition("}")[2]: child.text for child in part}
        number = int(values["PartNumber"])
        if number not in kept or values["ETag"] != f'"{kept[number].etag}"':
            raise S3Error(400, "InvalidPart")
        numbers.append(number)
    return numbers


async def _checksums_of_parts(server: StrictServer, key: str, upload_id: str, parts: Sequence[Part]):
    data = server.store._uploads[upload_id].parts
    return combine((checksums_of([data[part.number][1]]), part.size_bytes) for part in parts)


async def _body(server: StrictServer, request: web.Request) -> tuple[bytes, dict[str, str]]:
    """The body, held against every sum that came with it; the sums to send back."""
    data = await request.read()
    if len(data) != int(request.headers["Content-Length"]) or "chunked" in request.headers.get(
        "Transfer-Encoding", ""
    ):
        raise S3Error(411, "MissingContentLength")
    payload = request.headers["x-amz-content-sha256"]
    if payload not in {sigv4.UNSIGNED_PAYLOAD, hashlib.sha256(data).hexdigest()}:
        raise S3Error(400, "XAmzContentSHA256Mismatch")
    md5 = request.headers.get("Content-MD5")
    if md5 and base64.b64decode(md5) != hashlib.md5(data).digest():
        raise S3Error(400, "BadDigest")
    echoed = {}
    for name, (compute, width) in _SUMS.items():
        if name in request.headers:
            if name.rpartition("-")[2] not in server.understands:
                raise S3Error(400, "InvalidRequest")
            echoed[name] = base64.b64encode(compute(data).to_bytes(width, "big")).decode()
            if echoed[name] != request.headers[name]:
                raise S3Error(400, "BadDigest")
    return data, echoed


def _copy_source(request: web.Request) -> tuple[str, str]:
    path = unquote(request.headers["x-amz-copy-source"]).lstrip("/")
    return path.partition("/")[2], request.headers["x-amz-copy-source-if-match"].strip('"')


def _xml(text: str, status: int = 200) -> web.Response:
    document = '<?xml version="1.0" encoding="UTF-8"?>\n' + text
    return web.Response(status=status, text=document, content_type="application/xml")
