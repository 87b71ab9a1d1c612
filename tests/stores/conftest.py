"""A strict S3 server in the test's own event loop, and stores for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest

from tests.simulators.strict_s3 import StrictServer, strict_s3
from transfer.core.s3_limits import AWS_LIMITS, S3Limits
from transfer.core.sigv4 import Credentials
from transfer.stores.credentials import CredentialSource, FixedCredentials
from transfer.stores.endpoint import resolve_endpoint
from transfer.stores.http import HttpOptions, HttpTransport
from transfer.stores.s3 import S3Store
from transfer.stores.s3_connection import S3Connection

BUCKET = "test-bucket"


def store_on(
    server: StrictServer,
    transport: HttpTransport,
    credentials: CredentialSource | None = None,
    *,
    limits: S3Limits = AWS_LIMITS,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> S3Store:
    """A store for a server, with the right keys unless others are given."""
    source = credentials or FixedCredentials(Credentials(server.access_key, server.secret_key))
    endpoint = resolve_endpoint(server.bucket, url=server.endpoint_url)
    return S3Store(S3Connection(endpoint, source, transport, now=now), limits)


@pytest.fixture
async def server() -> AsyncIterator[StrictServer]:
    async with strict_s3(BUCKET) as running:
        yield running
        assert running.faults == [], "a planned fault never fired"


@pytest.fixture
async def make_store(server: StrictServer) -> AsyncIterator[Callable[..., S3Store]]:
    made: list[S3Store] = []

    def make(
        credentials: CredentialSource | None = None,
        *,
        limits: S3Limits = AWS_LIMITS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        options: HttpOptions | None = None,
    ) -> S3Store:
        transport = HttpTransport(options or HttpOptions())
        store = store_on(server, transport, credentials, limits=limits, now=now)
        made.append(store)
        return store

    yield make
    for store in made:
        await store.aclose()


@pytest.fixture
async def store(make_store: Callable[..., S3Store]) -> S3Store:
    return make_store()
