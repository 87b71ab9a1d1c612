"""S3's answers, headers and XML, as the values of the contract. What a store leaves out is None or empty.

A checksum in a header is that of the whole object, or one of its parts' checksums ("composite"). S3 says
which in `x-amz-checksum-type`, and writes the number of parts behind a composite one. Where a store says
neither, and the ETag is that of an upload in parts, the sum is taken for a composite one: it then proves
nothing by itself, but it accuses nobody either.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_plus

from transfer.core.object_metadata import from_headers
from transfer.stores.checksums import decode
from transfer.stores.contract import (
    ARCHIVE_CLASSES,
    ChecksumKind,
    ListedObject,
    ListedVersion,
    ObjectInfo,
    Part,
    UploadInfo,
)
from transfer.stores.xml import Element, XmlError

SUM_WIDTHS_BYTES: Final = {"CRC64NVME": 8, "CRC32C": 4, "CRC32": 4, "SHA256": 32, "SHA1": 20}
"""The checksums that S3 tells of objects, best first for us: those at the front cost us nothing."""
_SUM = re.compile(r"([A-Za-z0-9+/]{6,44}={0,2})(?:-([1-9][0-9]{0,4}))?", re.ASCII)
_PARTS_ETAG = re.compile(r"[0-9a-f]{32}-([1-9][0-9]{0,4})", re.ASCII)
_SSE = "x-amz-server-side-encryption"
_ONGOING = 'ongoing-request="true"'
_RESTORED = 'ongoing-request="false"'


def etag_of(text: str) -> str:
    """An ETag without its quotes."""
    return text.strip().strip('"')


def object_info(key: str, headers: Mapping[str, str]) -> ObjectInfo:
    """An object, from the headers of a HEAD or a (ranged) GET.

    Raises:
        XmlError: the size is missing or no number.
    """
    size = headers.get("Content-Range", "").rpartition("/")[2] or headers.get("Content-Length", "")
    etag, metadata = etag_of(headers.get("ETag", "")), from_headers(headers)
    # Of a range that is just one part, S3 may tell the sum of that part.
    sums = {} if "Content-Range" in headers else told_checksums(headers, etag)
    restore = headers.get("x-amz-restore", "")
    archived = metadata.storage_class in ARCHIVE_CLASSES or "x-amz-archive-status" in headers
    return ObjectInfo(
        key=key,
        size_bytes=number(size),
        etag=etag,
        last_modified=_http_date(headers.get("Last-Modified", "")),
        version_id=version_id(headers),
        metadata=metadata,
        crc64nvme=decode(sums.get("CRC64NVME"), ChecksumKind.CRC64NVME),
        crc32c=decode(sums.get("CRC32C"), ChecksumKind.CRC32C),
        checksums=sums,
        archived=archived and _RESTORED not in restore,
        restoring=_ONGOING in restore,
        encrypted_by=_encrypted_by(headers),
        tag_count=_tag_count(headers),
    )


def told_checksums(headers: Mapping[str, str], etag: str) -> dict[str, str]:
    """The well-formed checksums of an answer, by algorithm; composite ones end in `-N`.

    Args:
        headers: of the answer.
        etag: of the object, without quotes.
    """
    kind = headers.get("x-amz-checksum-type", "").upper()
    parts = _PARTS_ETAG.fullmatch(etag)
    composite = kind == "COMPOSITE" or (not kind and parts is not None)
    told: dict[str, str] = {}
    for name, width_bytes in SUM_WIDTHS_BYTES.items():
        found = _SUM.fullmatch(headers.get(f"x-amz-checksum-{name.lower()}", ""))
        if found is None or not _is_base64(found[1], width_bytes):
            continue
        count = found[2] or (parts[1] if composite and parts else "")
        if count or not composite:
            told[name] = f"{found[1]}-{count}" if count else found[1]
    return told


def version_id(headers: Mapping[str, str]) -> str | None:
    """The version an answer is about; S3 says "null" for one made before versions were kept."""
    return headers.get("x-amz-version-id") or None


def made_marker(headers: Mapping[str, str]) -> str | None:
    """The version id of the delete marker that a DELETE without a version has made."""
    return version_id(headers) if headers.get("x-amz-delete-marker", "").lower() == "true" else None


def listed_objects(page: Element) -> Iterator[ListedObject]:
    """The objects of one page of ListObjectsV2."""
    encoded = page.value("EncodingType") == "url"
    for item in page.all("Contents"):
        yield ListedObject(
            key=_key(item.value("Key"), encoded),
            size_bytes=number(item.value("Size")),
            etag=etag_of(item.value("ETag")),
            last_modified=_iso_date(item.value("LastModified")),
            storage_class=item.value("StorageClass") or None,
        )


def listed_versions(page: Element) -> Iterator[ListedVersion]:
    """The versions and delete markers of one page of ListObjectVersions, in the order of the listing.

    Some stores tell all versions of a page first and all its delete markers behind them; these are put where
    they belong, by key and then by time.
    """
    encoded = page.value("EncodingType") == "url"
    lines = [
        _listed_version(item, encoded) for item in page.children if item.name in {"Version", "DeleteMarker"}
    ]
    markers = [line for line in lines if line.is_delete_marker]
    versions = [line for line in lines if not line.is_delete_marker]
    if lines != versions + markers:
        yield from lines
        return
    at = 0
    for version in versions:
        while at < len(markers) and _is_before(markers[at], version):
            yield markers[at]
            at += 1
        yield version
    yield from markers[at:]


def _listed_version(item: Element, encoded: bool) -> ListedVersion:
    marker = item.name == "DeleteMarker"
    return ListedVersion(
        key=_key(item.value("Key"), encoded),
        version_id=item.value("VersionId") or "null",
        is_latest=item.value("IsLatest") == "true",
        is_delete_marker=marker,
        size_bytes=0 if marker else number(item.value("Size")),
        etag="" if marker else etag_of(item.value("ETag")),
        last_modified=_iso_date(item.value("LastModified")),
        storage_class=None if marker else item.value("StorageClass") or None,
    )


def _is_before(marker: ListedVersion, version: ListedVersion) -> bool:
    """Whether a delete marker stands before a version: the newest of a key are first."""
    if marker.key != version.key:
        return marker.key.encode() < version.key.encode()
    if marker.is_latest or version.is_latest or not (marker.last_modified and version.last_modified):
        return marker.is_latest
    return marker.last_modified > version.last_modified


def common_prefixes(page: Element) -> Iterator[str]:
    """The common prefixes of one page of ListObjectsV2."""
    encoded = page.value("EncodingType") == "url"
    for item in page.all("CommonPrefixes"):
        yield _key(item.value("Prefix"), encoded)


def listed_parts(page: Element) -> Iterator[Part]:
    """The parts of one page of ListParts."""
    for item in page.all("Part"):
        etag = etag_of(item.value("ETag"))
        yield Part(number(item.value("PartNumber")), number(item.value("Size")), etag)


def listed_uploads(page: Element) -> Iterator[UploadInfo]:
    """The uploads of one page of ListMultipartUploads."""
    encoded = page.value("EncodingType") == "url"
    for item in page.all("Upload"):
        key = _key(item.value("Key"), encoded)
        yield UploadInfo(key, item.value("UploadId"), _iso_date(item.value("Initiated")))


def tag_set(document: Element) -> dict[str, str]:
    """The tags of GetObjectTagging."""
    tags = document.child("TagSet")
    return {tag.value("Key"): tag.value("Value") for tag in tags.all("Tag")} if tags else {}


def number(text: str) -> int:
    """A count or size.

    Raises:
        XmlError: the text is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise XmlError("a number is none, or too large")
    return int(text)


def _key(text: str, encoded: bool) -> str:
    return unquote_plus(text, errors="strict") if encoded else text


def _is_base64(text: str, width_bytes: int) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == width_bytes
    except binascii.Error:
        return False


def _encrypted_by(headers: Mapping[str, str]) -> str:
    if f"{_SSE}-customer-algorithm" in headers:
        return "SSE-C"
    return "".join(char for char in headers.get(_SSE, "")[:32] if char.isprintable())


def _tag_count(headers: Mapping[str, str]) -> int | None:
    text = headers.get("x-amz-tagging-count", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else None


@lru_cache(maxsize=1024)
def _http_date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None


def _iso_date(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
