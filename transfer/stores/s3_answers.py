"""S3's answers, headers and XML, as the values of the contract. What a store leaves out is None or empty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote_plus

from transfer.core.object_metadata import from_headers
from transfer.stores.checksums import decode
from transfer.stores.contract import ChecksumKind, ListedObject, ObjectInfo, Part, UploadInfo
from transfer.stores.xml import Element, XmlError


def etag_of(text: str) -> str:
    """An ETag without its quotes."""
    return text.strip().strip('"')


def object_info(key: str, headers: Mapping[str, str]) -> ObjectInfo:
    """An object, from the headers of a HEAD or a (ranged) GET.

    Raises:
        XmlError: the size is missing or no number.
    """
    full = headers.get("x-amz-checksum-type", "FULL_OBJECT") == "FULL_OBJECT"
    size = headers.get("Content-Range", "").rpartition("/")[2] or headers.get("Content-Length", "")
    return ObjectInfo(
        key=key,
        size_bytes=number(size),
        etag=etag_of(headers.get("ETag", "")),
        last_modified=_http_date(headers.get("Last-Modified", "")),
        version_id=version_id(headers),
        metadata=from_headers(headers),
        crc64nvme=_crc(headers, ChecksumKind.CRC64NVME) if full else None,
        crc32c=_crc(headers, ChecksumKind.CRC32C) if full else None,
    )


def version_id(headers: Mapping[str, str]) -> str | None:
    """The version an answer is about; S3 says "null" for one made before versions were kept."""
    return headers.get("x-amz-version-id") or None


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


def _crc(headers: Mapping[str, str], kind: ChecksumKind) -> int | None:
    return decode(headers.get(f"x-amz-checksum-{kind.value.lower()}"), kind)


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
