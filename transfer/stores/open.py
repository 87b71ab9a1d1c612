"""Open a bucket as a store: address, credentials, connections, pacing and retries put together in that order.

    RetryingStore( S3Store( S3Connection( HttpTransport( Pace ) ) ) )

Pacing is innermost, so that bytes sent again are paid for again; retries are outermost, so that one attempt
of a call is one request. The endpoint is the one given, else AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the
profile's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from transfer.core.s3_limits import AWS_LIMITS, S3Limits
from transfer.core.s3_uri import check_bucket, is_s3_uri, parse_s3_uri
from transfer.stores.contract import Store
from transfer.stores.credentials import AwsChain, CredentialSource, FixedCredentials
from transfer.stores.download import DownloadTransport
from transfer.stores.endpoint import resolve_endpoint
from transfer.stores.http_options import HttpOptions
from transfer.stores.pacing import Pace
from transfer.stores.retrying import RetryingStore, RetryPolicy
from transfer.stores.s3 import S3Store
from transfer.stores.s3_connection import S3Connection

if TYPE_CHECKING:
    from transfer.stores.http import HttpTransport

Rate = Callable[[], float | None]


def no_limit() -> None:
    """The rate of a line that is not limited."""


async def endpoint_name(url: str | None, profile: str | None = None) -> str:
    """The endpoint as jobs and reports call it: the same text however it was given; empty for Amazon's own.

    Args:
        url: that was asked for; from the environment and the profile where None.
        profile: of the AWS configuration files.

    Raises:
        UsageError: the profile is none.
    """
    if url is None:
        url = (await AwsChain(profile).settings()).endpoint_url
    return (url or "").rstrip("/")


async def open_store(
    bucket: str,
    *,
    endpoint_url: str | None = None,
    profile: str | None = None,
    region: str | None = None,
    no_sign_request: bool = False,
    max_connections: int = 32,
    limits: S3Limits = AWS_LIMITS,
    send_rate: Rate = no_limit,
    receive_rate: Rate = no_limit,
    only_reads: bool = False,
    retry: RetryPolicy | None = None,
) -> Store:
    """Open a bucket; nothing is sent yet, `probe` makes the first contact.

    Args:
        bucket: its name, or an address `s3://bucket/prefix`, whose prefix is the caller's matter.
        endpoint_url: of the store; from the environment and the profile, or Amazon's, where None.
        profile: of the AWS configuration files.
        region: of the bucket; from the environment and the profile where None.
        no_sign_request: send requests unsigned, for public buckets.
        max_connections: at once.
        limits: of the endpoint.
        send_rate: bytes a second for bodies going out; asked again and again, None for no limit.
        receive_rate: the same for bodies coming in.
        only_reads: nothing will be written, and many objects are read: by a transport for that.
        retry: how often failed calls are tried again.

    Raises:
        UsageError: the bucket, the endpoint or the profile is none.
    """
    name = parse_s3_uri(bucket).bucket if is_s3_uri(bucket) else check_bucket(bucket)
    chain = AwsChain(profile)
    settings = await chain.settings()
    endpoint = resolve_endpoint(
        name,
        url=endpoint_url or settings.endpoint_url,
        region=region or settings.region,
        path_style=settings.path_style,
    )
    credentials: CredentialSource = FixedCredentials(None) if no_sign_request else chain
    options = HttpOptions(max_connections=max_connections)
    received = Pace(receive_rate)
    if only_reads:
        transport = cast("HttpTransport", DownloadTransport(options, received=received))
    else:
        from transfer.stores.http import HttpTransport  # noqa: PLC0415  (start-up time: it loads aiohttp)

        transport = HttpTransport(options, sent=Pace(send_rate), received=received)
    return RetryingStore(S3Store(S3Connection(endpoint, credentials, transport), limits), retry)
