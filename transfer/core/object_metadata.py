"""What an object carries beside its bytes, and the HTTP headers that say it.

HTTP headers hold ASCII. User metadata beyond it goes as RFC 2047 encoded words, which is also how Amazon S3
answers; so does a value that HTTP would change (spaces at its ends or doubled) or that already looks like an
encoded word. Reading undoes exactly that, so every value comes back as it was.

Not here: tags on the way back (no header carries them, they are asked for), ACLs and encryption settings.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from transfer.core.s3_limits import AWS_LIMITS, S3Limits

USER_PREFIX = "x-amz-meta-"

_SYSTEM = {
    "content_type": "content-type",
    "content_encoding": "content-encoding",
    "content_disposition": "content-disposition",
    "content_language": "content-language",
    "cache_control": "cache-control",
    "expires": "expires",
    "website_redirect": "x-amz-website-redirect-location",
    "storage_class": "x-amz-storage-class",
}
_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_PLAIN_VALUE = re.compile(r"(?:[!-~](?: ?[!-~])*)?", re.ASCII)
_WORD = re.compile(r"=\?utf-8\?([bq])\?([^?\s]*)\?=", re.ASCII | re.IGNORECASE)
_WORDS = re.compile(rf"{_WORD.pattern}(?:\s+{_WORD.pattern})*", re.ASCII | re.IGNORECASE)
_WORD_BYTES = 45  # of text in one encoded word: RFC 2047 §2 allows 75 characters, base64 and frame included


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectMetadata:
    """The metadata of one object; None is "not said".

    Attributes:
        expires: an HTTP date, as it stands.
        website_redirect: a key of the bucket, or a URL.
        user: names in lower case without `x-amz-meta-`.
        tags: object tags; never filled from headers.
    """

    content_type: str | None = None
    content_encoding: str | None = None
    content_disposition: str | None = None
    content_language: str | None = None
    cache_control: str | None = None
    expires: str | None = None
    website_redirect: str | None = None
    storage_class: str | None = None
    user: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


NO_METADATA = ObjectMetadata()


def to_headers(metadata: ObjectMetadata) -> dict[str, str]:
    """The request headers that give an object this metadata, names in lower case."""
    headers = {
        name: value for field_name, name in _SYSTEM.items() if (value := getattr(metadata, field_name))
    }
    for name, value in metadata.user.items():
        headers[USER_PREFIX + name] = encode_value(value)
    if metadata.tags:
        headers["x-amz-tagging"] = urlencode(metadata.tags)
    return headers


def from_headers(headers: Mapping[str, str]) -> ObjectMetadata:
    """The metadata that an answer's headers tell; names in any case."""
    lowered = {name.lower(): value for name, value in headers.items()}
    user = {
        name[len(USER_PREFIX) :]: decode_value(value)
        for name, value in lowered.items()
        if name.startswith(USER_PREFIX)
    }
    return ObjectMetadata(
        content_type=lowered.get("content-type"),
        content_encoding=lowered.get("content-encoding"),
        content_disposition=lowered.get("content-disposition"),
        content_language=lowered.get("content-language"),
        cache_control=lowered.get("cache-control"),
        expires=lowered.get("expires"),
        website_redirect=lowered.get("x-amz-website-redirect-location"),
        storage_class=lowered.get("x-amz-storage-class"),
        user=user,
    )


def check_metadata(metadata: ObjectMetadata, limits: S3Limits = AWS_LIMITS) -> str | None:
    """Why a store would refuse this metadata, or None where it is fine."""
    return next(_objections(metadata, limits), None)


def _objections(metadata: ObjectMetadata, limits: S3Limits) -> Iterator[str]:
    for field_name in _SYSTEM:
        if (value := getattr(metadata, field_name)) is not None and not _PLAIN_VALUE.fullmatch(value):
            yield f"{field_name} {value!r} is not plain ASCII"
    for name in metadata.user:
        if not _NAME.fullmatch(name):
            yield f"user metadata {name!r} cannot be the name of a header"
    user_bytes = sum(len(name) + len(encode_value(value)) for name, value in metadata.user.items())
    if user_bytes > limits.user_metadata_max_bytes:
        yield f"user metadata of {user_bytes:,} bytes; the store takes {limits.user_metadata_max_bytes:,}"
    yield from _tag_objections(metadata.tags, limits)
    header_bytes = sum(len(name) + len(value) + 4 for name, value in to_headers(metadata).items())
    if header_bytes > limits.headers_max_bytes:
        yield f"headers of {header_bytes:,} bytes; the store takes {limits.headers_max_bytes:,}"


def _tag_objections(tags: Mapping[str, str], limits: S3Limits) -> Iterator[str]:
    if len(tags) > limits.tags_max:
        yield f"{len(tags)} tags; the store takes {limits.tags_max}"
    for name, value in tags.items():
        if not 1 <= len(name) <= limits.tag_key_max_chars or len(value) > limits.tag_value_max_chars:
            yield f"the tag {name[:40]!r} or its value is too long"


def encode_value(value: str) -> str:
    """User metadata as a header can carry it: as it stands where that is safe, else in encoded words.

    A lone surrogate (a byte that was not UTF-8) becomes `?`: a header cannot tell it.
    """
    if _PLAIN_VALUE.fullmatch(value) and not _WORDS.fullmatch(value):
        return value
    return " ".join(f"=?UTF-8?B?{base64.b64encode(piece).decode()}?=" for piece in _pieces(value))


def decode_value(value: str) -> str:
    """User metadata from a header; what is no well-formed run of encoded words stays as it stands."""
    if not _WORDS.fullmatch(value):
        return value
    try:
        return b"".join(_word_bytes(*match.groups()) for match in _WORD.finditer(value)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return value


def _pieces(value: str) -> Iterator[bytes]:
    """UTF-8 pieces of at most `_WORD_BYTES` bytes, cut between characters (RFC 2047 §5)."""
    piece = b""
    for character in value:
        encoded = character.encode("utf-8", "replace")
        if len(piece) + len(encoded) > _WORD_BYTES:
            yield piece
            piece = b""
        piece += encoded
    yield piece


def _word_bytes(encoding: str, text: str) -> bytes:
    if encoding.lower() == "b":
        return base64.b64decode(text, validate=True)
    return binascii.a2b_qp(text.encode(), header=True)
