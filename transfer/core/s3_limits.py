"""What an S3 endpoint can hold, as values of that endpoint, and which keys are fit to be sent to one.

The defaults are Amazon's (S3 User Guide: "Amazon S3 multipart upload limits", "Naming Amazon S3 objects",
"Working with object metadata"). Since December 2025 an object may be as large as its parts allow,
10,000 x 5 GiB = 48.8 TiB, sold as "50 TB"; endpoints that stop at 5 TiB are given their own `S3Limits`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from transfer.core.sizes import GIB, KIB, MIB

# What XML 1.0 §2.2 cannot carry at all, not even escaped: a listing could never name such a key. Tab, newline
# and carriage return can be carried, and we ask for url-encoded listings, so they come back exactly.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Limits:
    """The limits of one endpoint; sizes in bytes."""

    parts_max: int = 10_000
    part_min_bytes: int = 5 * MIB
    part_max_bytes: int = 5 * GIB
    object_max_bytes: int = 10_000 * 5 * GIB
    single_put_max_bytes: int = 5 * GIB
    single_copy_max_bytes: int = 5 * GIB
    key_max_bytes: int = 1024
    user_metadata_max_bytes: int = 2 * KIB
    headers_max_bytes: int = 8 * KIB
    tags_max: int = 10
    tag_key_max_chars: int = 128
    tag_value_max_chars: int = 256


AWS_LIMITS = S3Limits()


def check_key(key: str, limits: S3Limits = AWS_LIMITS) -> str | None:
    """Why a key is refused, or None where it is fine.

    Refused: no key at all; a key that is not UTF-8 (lone surrogates); one too long; characters that XML
    cannot carry; segments `.` and `..`. The last are legal in S3, but RFC 3986 §5.2.4 lets every client,
    proxy and server take them out of a path, and percent-encoding does not protect them (§6.2.2.2 decodes
    `%2E`): the object could end up under another key.

    Fine: spaces, `+`, `%`, `~`, newlines, any script, a leading `/`, `//` and a trailing `/`: all of these
    are kept exactly by percent-encoding, and no rule of HTTP takes them away.
    """
    if not key:
        return "the key is empty"
    try:
        length = len(key.encode("utf-8"))
    except UnicodeEncodeError:
        return "the key is not Unicode text (its name on disk is not UTF-8)"
    if length > limits.key_max_bytes:
        return f"the key is {length:,} bytes of UTF-8, the store takes {limits.key_max_bytes:,}"
    if found := _NOT_XML.search(key):
        return f"the key has the character U+{ord(found[0]):04X}, which no listing can show"
    if any(segment in {".", ".."} for segment in key.split("/")):
        return "the key has a '.' or '..' segment, which HTTP software resolves away"
    return None
