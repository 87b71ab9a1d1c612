"""Where a bucket is: the URL of the endpoint, how the bucket is addressed in it, and the region to sign for.

Amazon's own endpoints get the bucket in the host name (virtual-hosted), all others in the path, as do buckets
with a dot in their name (a wildcard certificate covers one label only). Text in, values out: no look-ups.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from transfer.core.sigv4 import encode_path
from transfer.errors import UsageError

DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One bucket's address.

    Attributes:
        origin: scheme and host, with the port where it is not the scheme's own; no path.
        host: as in the Host header, which is signed.
        base_path: what stands before `/key` in every path, already percent-encoded.
        bucket: its name.
        region: to sign for.
        loopback: the endpoint is this machine.
    """

    origin: str
    host: str
    base_path: str
    bucket: str
    region: str
    loopback: bool

    @property
    def signs_payload(self) -> bool:
        """Whether bodies are hashed into the signature: on a wire without TLS nothing else guards them."""
        return self.origin.startswith("http://") and not self.loopback

    @property
    def is_aws(self) -> bool:
        """Whether this is Amazon's S3 itself."""
        return _is_aws(self.host)

    def path(self, key: str = "") -> str:
        """The encoded path of an object, or of the bucket."""
        return f"{self.base_path}/{encode_path(key)}"

    def __str__(self) -> str:
        return self.origin


def resolve_endpoint(
    bucket: str, *, url: str | None = None, region: str | None = None, path_style: bool | None = None
) -> Endpoint:
    """The address of a bucket.

    Args:
        bucket: its name.
        url: of the endpoint, such as `https://s3.example.org:9000/base`; Amazon's of the region where None.
        region: of the bucket.
        path_style: the bucket in the path (True) or the host name (False); by the rules above where None.

    Raises:
        UsageError: the URL is not one of an endpoint.
    """
    region = region or DEFAULT_REGION
    scheme, host, port, base = _split(url or f"https://s3.{region}.{_aws_domain(region)}")
    if path_style is None:
        path_style = not _is_aws(host) or "." in bucket
    named = host if path_style else f"{bucket}.{host}"
    netloc = f"{named}:{port}" if port else named
    return Endpoint(
        origin=f"{scheme}://{netloc}",
        host=netloc,
        base_path=f"{base}/{encode_path(bucket)}" if path_style else base,
        bucket=bucket,
        region=region,
        loopback=_is_loopback(host),
    )


def _split(url: str) -> tuple[str, str, int | None, str]:
    remedy = "write the endpoint as https://host or http://host:port"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # What is no URL may hold a password all the same.
        raise UsageError("the endpoint's URL cannot be read", remedy=remedy) from None
    if parts.username is not None:
        raise UsageError(
            "the endpoint's URL has a user name in it", remedy="credentials come from the profile"
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(f"{url.partition('?')[0]!r} is not the URL of an endpoint", remedy=remedy)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default_port = {"http": 80, "https": 443}[parts.scheme]
    return parts.scheme, host, None if port == default_port else port, encode_path(parts.path.rstrip("/"))


def _is_aws(host: str) -> bool:
    return host.partition(":")[0].endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _aws_domain(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
