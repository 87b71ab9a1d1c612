"""The bucket that is exported, opened as the options say: in the agent, and in each worker process."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from transfer.core.bandwidth import BandwidthLimit
from transfer.jobs.export.fetching import Fetcher
from transfer.jobs.export.work import BucketAddress, FetchOptions
from transfer.stores.contract import Store
from transfer.stores.open import no_limit, open_store

Rate = Callable[[], float | None]


def rate_of(bwlimit: str | None) -> Rate:
    """What may come in now, bytes a second; None for no limit."""
    limit = BandwidthLimit.parse(bwlimit) if bwlimit is not None else None
    if limit is None or limit.is_off:
        return no_limit
    return lambda: limit.rate_at(datetime.now(), "down")  # noqa: DTZ005 - a timetable is local time


async def open_bucket(address: BucketAddress, *, bwlimit: str | None, connections: int) -> Store:
    """A bucket; nothing is sent yet.

    Raises:
        UsageError: the bucket, the endpoint or the profile is none.
    """
    return await open_store(
        address.bucket,
        endpoint_url=address.endpoint_url,
        profile=address.profile,
        region=address.region,
        no_sign_request=address.no_sign_request,
        max_connections=connections,
        receive_rate=rate_of(bwlimit),
        only_reads=True,
    )


def fetcher_of(store: Store, options: FetchOptions) -> Fetcher:
    """What fetches small objects of the bucket."""
    return Fetcher(
        store,
        options.prefix,
        tags=options.tags,
        restoring=options.restoring,
        small_limit_bytes=options.small_limit_bytes,
        at_once=options.connections,
    )
