"""AWS Signature Version 4 for S3: the same arithmetic signs our requests and checks those sent to us.

    canonical_request -> string_to_sign -> signature

Rules (AWS, "Signature Calculations for the Authorization Header" and "Authenticating Requests: Using Query
Parameters"): S3 encodes a path once and never normalises it, so `//`, `.` and `..` stay; names and values of
a query are encoded and then sorted; header names are lower-cased, their values trimmed and runs of spaces
in them made one. The clock comes in as an argument.

Not here: which headers a request needs, chunked (`STREAMING-*`) payloads, and SigV4A.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote

from msgspec import Struct

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
PRESIGNED_MAX_S = 7 * 24 * 3600  # AWS: a presigned request lives a week at most


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key and its secret; the secret and the token stay out of `repr`."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


class Scope(Struct, frozen=True):
    """What a signature is good for: one day, one region, one service.

    Attributes:
        date: `YYYYMMDD` in UTC.
    """

    date: str
    region: str
    service: str = "s3"

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def timestamp(now: datetime) -> str:
    """`now` (in UTC) as `YYYYMMDDTHHMMSSZ`; ten times faster than strftime."""
    return now.isoformat()[:19].replace("-", "").replace(":", "") + "Z"


def encode_path(path: str) -> str:
    """A path of decoded text, percent-encoded as S3 signs it: all but unreserved characters and `/`."""
    return quote(path, safe="/-._~")


def encode_query(parameters: Iterable[tuple[str, str]]) -> str:
    """Parameters in canonical form: encoded, then sorted by name and value; a value may be empty."""
    pairs = sorted((quote(name, safe="-._~"), quote(value, safe="-._~")) for name, value in parameters)
    return "&".join([f"{name}={value}" for name, value in pairs])


def canonical_headers(headers: Mapping[str, str]) -> tuple[str, str]:
    """The lines of the headers to sign, each with its newline, and the list of their names.

    Args:
        headers: every header that is to be signed; `host` must be one of them.
    """
    pairs = sorted([(name.lower(), " ".join(value.split())) for name, value in headers.items()])
    lines = "".join([f"{name}:{value}\n" for name, value in pairs])
    return lines, ";".join([name for name, _ in pairs])


def canonical_request(
    method: str, encoded_path: str, canonical_query: str, headers: Mapping[str, str], payload_hash: str
) -> str:
    """The text that stands for a request: what both sides must build alike.

    Args:
        method: in upper case.
        encoded_path: as it goes over the wire (see `encode_path`).
        canonical_query: from `encode_query`, without any `X-Amz-Signature`.
        headers: the headers that are signed.
        payload_hash: hex SHA-256 of the body, or `UNSIGNED_PAYLOAD`.
    """
    lines, names = canonical_headers(headers)
    return f"{method}\n{encoded_path or '/'}\n{canonical_query}\n{lines}\n{names}\n{payload_hash}"


def string_to_sign(canonical: str, at: str, scope: Scope) -> str:
    """The text that is signed: when, for what, and the digest of the canonical request."""
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{ALGORITHM}\n{at}\n{scope}\n{digest}"


@lru_cache(maxsize=64)
def signing_key(secret_key: str, scope: Scope) -> bytes:
    """The key derived for one scope; remembered, since it holds for a whole day."""
    key = b"AWS4" + secret_key.encode()
    for part in (scope.date, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


@lru_cache(maxsize=64)
def _keyed(secret_key: str, scope: Scope) -> tuple[hashlib._Hash, hashlib._Hash]:
    """SHA-256 that has taken the inner and the outer key of HMAC (RFC 2104 §2), to be copied."""
    key = signing_key(secret_key, scope).ljust(64, b"\0")
    inner, outer = (bytes([byte ^ pad for byte in key]) for pad in (0x36, 0x5C))
    return hashlib.sha256(inner), hashlib.sha256(outer)


def signature(secret_key: str, text: str, scope: Scope) -> str:
    """The signature of a string to sign, in hex.

    An HMAC-SHA256; `hmac.digest` takes twice the time, since it sets its key up anew.
    """
    inner, outer = (state.copy() for state in _keyed(secret_key, scope))
    inner.update(text.encode())
    outer.update(inner.digest())
    return outer.hexdigest()


def signed_headers(
    method: str,
    encoded_path: str,
    canonical_query: str,
    headers: Mapping[str, str],
    payload_hash: str,
    *,
    credentials: Credentials,
    region: str,
    now: datetime,
) -> dict[str, str]:
    """The headers that turn a request into a signed one.

    Args:
        method: in upper case.
        encoded_path: as it goes over the wire.
        canonical_query: from `encode_query`; this is also what goes over the wire.
        headers: the headers to sign, `host` among them; headers added later stay unsigned.
        payload_hash: hex SHA-256 of the body, or `UNSIGNED_PAYLOAD`.
        credentials: a session token is signed and sent along.
        region: of the bucket.
        now: in UTC.

    Returns:
        `x-amz-date`, `x-amz-content-sha256`, the security token if there is one, and `Authorization`.
    """
    at = timestamp(now)
    scope = Scope(at[:8], region)
    added = {"x-amz-content-sha256": payload_hash, "x-amz-date": at}
    if credentials.session_token:
        added["x-amz-security-token"] = credentials.session_token
    lines, names = canonical_headers({**headers, **added})
    canonical = f"{method}\n{encoded_path or '/'}\n{canonical_query}\n{lines}\n{names}\n{payload_hash}"
    signed = signature(credentials.secret_key, string_to_sign(canonical, at, scope), scope)
    added["Authorization"] = (
        f"{ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signed}"
    )
    return added


def presigned_query(
    method: str,
    encoded_path: str,
    parameters: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
    *,
    credentials: Credentials,
    region: str,
    now: datetime,
    expires_s: int,
) -> str:
    """The query of a link that carries its own signature; the body is not signed.

    Args:
        method: in upper case.
        encoded_path: as it goes over the wire.
        parameters: the request's own query.
        headers: the headers whoever uses the link must send, `host` among them.
        credentials: whose rights the link lends.
        region: of the bucket.
        now: in UTC; the link holds from then.
        expires_s: 1 to `PRESIGNED_MAX_S` seconds.

    Raises:
        ValueError: a validity no server accepts.
    """
    if not 1 <= expires_s <= PRESIGNED_MAX_S:
        raise ValueError(f"a presigned request holds for 1 to {PRESIGNED_MAX_S} seconds, not {expires_s}")
    at = timestamp(now)
    scope = Scope(at[:8], region)
    signing = [
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", f"{credentials.access_key}/{scope}"),
        ("X-Amz-Date", at),
        ("X-Amz-Expires", str(expires_s)),
        ("X-Amz-SignedHeaders", canonical_headers(headers)[1]),
    ]
    if credentials.session_token:
        signing.append(("X-Amz-Security-Token", credentials.session_token))
    query = encode_query([*parameters, *signing])
    canonical = canonical_request(method, encoded_path, query, headers, UNSIGNED_PAYLOAD)
    signed = signature(credentials.secret_key, string_to_sign(canonical, at, scope), scope)
    return f"{query}&X-Amz-Signature={signed}"
