"""`s3://bucket/prefix`, read strictly.

A prefix is taken as it stands: no decoding, no slash added or removed; what it means is up to the command.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from transfer.errors import UsageError

# S3's rules, widened by the upper case and underscores that old buckets and other stores have.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_SCHEME = "s3://"


@dataclass(frozen=True, slots=True)
class S3Uri:
    """A bucket and a key prefix within it; the prefix may be empty."""

    bucket: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.prefix}"


def is_s3_uri(text: str) -> bool:
    """Whether the text claims to be an S3 address, well-formed or not."""
    return text[: len(_SCHEME)].lower() == _SCHEME


def check_bucket(bucket: str) -> str:
    """The bucket's name, if it is one.

    Raises:
        UsageError: no bucket can have this name.
    """
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise UsageError(
            f"{bucket!r} is not a bucket name",
            remedy="a name is 3 to 63 letters, digits, '.', '-' or '_'; its ends are letters or digits",
        )
    return bucket


def parse_s3_uri(text: str) -> S3Uri:
    """Read `s3://bucket` or `s3://bucket/prefix`.

    Raises:
        UsageError: another scheme, no bucket, or a prefix that is not UTF-8.
    """
    if not text.startswith(_SCHEME):
        raise UsageError(f"{text!r} is not an S3 address", remedy="write it as s3://bucket/prefix")
    bucket, _, prefix = text[len(_SCHEME) :].partition("/")
    try:
        prefix.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(
            f"the prefix of {text!r} is not UTF-8", remedy="S3 keys are UTF-8; choose another prefix"
        ) from None
    return S3Uri(check_bucket(bucket), prefix)
