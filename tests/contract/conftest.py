"""The stores the contract is held against: memory, and S3 against three servers that run for real.

rclone and moto are other people's servers, one for the session; strict is ours (tests/simulators), made for
each test. Every test has a bucket of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from tests.simulators.servers import S3Server, moto_s3, rclone_s3
from tests.simulators.strict_s3 import strict_s3
from transfer.core.sigv4 import Credentials
from transfer.stores.contract import Store
from transfer.stores.credentials import FixedCredentials
from transfer.stores.endpoint import resolve_endpoint
from transfer.stores.http import HttpOptions, HttpTransport
from transfer.stores.memory import MemoryStore
from transfer.stores.s3 import S3Store
from transfer.stores.s3_connection import Request, S3Connection

KINDS = ("memory", "rclone", "moto", "strict")
S3_KINDS = KINDS[1:]
VERSIONED_KINDS = ("memory", "moto", "strict")  # rclone's server keeps no versions

# Where a server is known to be wrong. A strict xfail: the day it is right, the line has to go.
KNOWN_WRONG = {
    ("rclone", "test_completing_twice_is_completing_once"): (
        "rclone gives a completed object the ETag of a single PUT, which proves nothing about its parts"
    ),
    ("rclone", "test_tags"): "rclone answers a request for tags with the object itself",
    ("moto", "test_versions_go_on_behind_a_key_that_is_not_there"): (
        "moto leaves out the first version behind a key marker, whatever key it is of"
    ),
    ("moto", "test_an_upload_that_never_was_cannot_be_completed"): "moto answers 500 instead of NoSuchUpload",
    ("moto", "test_an_aborted_upload_takes_no_more_parts"): "moto answers 500 instead of NoSuchUpload",
}
_buckets = (f"bucket-{number:04}" for number in itertools.count())


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with rclone_s3(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    with moto_s3() as server:
        yield server


@dataclass
class Place:
    """Where a store's server is, so that tests can come to it in other ways."""

    kind: str
    endpoint_url: str
    access_key: str
    secret_key: str
    bucket: str

    def store(self, **changed: str) -> S3Store:
        """An S3 store for this place, or for one that differs from it."""
        told = {**vars(self), **changed}
        endpoint = resolve_endpoint(told["bucket"], url=told["endpoint_url"])
        credentials = FixedCredentials(Credentials(told["access_key"], told["secret_key"]))
        return S3Store(S3Connection(endpoint, credentials, HttpTransport(HttpOptions(max_connections=8))))


@pytest.fixture
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A bucket of an S3 server."""
    async with AsyncExitStack() as stack:
        yield await _bucket_of(request.param, request, stack)


@pytest.fixture
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """Any store, with a bucket of its own."""
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            yield MemoryStore()
        else:
            opened = (await _bucket_of(request.param, request, stack)).store()
            stack.push_async_callback(opened.aclose)
            yield opened


@pytest.fixture
async def versioned(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """Any store that keeps versions, with a bucket of its own that does."""
    if request.param == "memory":
        yield MemoryStore(versioning="enabled")
        return
    async with AsyncExitStack() as stack:
        opened = (await _bucket_of(request.param, request, stack)).store()
        stack.push_async_callback(opened.aclose)
        await set_versioning(opened, "Enabled")
        yield opened


async def set_versioning(store: Store, status: str) -> None:
    """`Enabled` or `Suspended`; which is no business of a Store."""
    if isinstance(store, MemoryStore):
        store.mode = "enabled" if status == "Enabled" else "suspended"
        return
    assert isinstance(store, S3Store)
    document = f"<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>".encode()
    async with await store._connection.send(Request("PUT", query=[("versioning", "")], body=[document])):
        pass


async def _bucket_of(kind: str, request: pytest.FixtureRequest, stack: AsyncExitStack) -> Place:
    bucket = next(_buckets)
    if kind == "strict":
        server = await stack.enter_async_context(strict_s3(bucket))
        return Place(kind, server.endpoint_url, server.access_key, server.secret_key, bucket)
    server: S3Server = request.getfixturevalue(kind)
    place = Place(kind, server.endpoint_url, server.access_key, server.secret_key, bucket)
    store = place.store()
    async with await store._connection.send(Request("PUT")):  # CreateBucket, which is no business of a Store
        await store.aclose()
    return place


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with `store` on every store, one with `place` on every server."""
    for name, kinds in (("store", KINDS), ("place", S3_KINDS), ("versioned", VERSIONED_KINDS)):
        if name in metafunc.fixturenames:
            test = metafunc.function.__name__
            marked = [pytest.param(kind, id=kind, marks=[*_marks(kind, test)]) for kind in kinds]
            metafunc.parametrize(name, marked, indirect=True)


def _marks(kind: str, test: str) -> Iterator[pytest.MarkDecorator]:
    yield pytest.mark.xdist_group(f"contract-{kind}")
    if reason := KNOWN_WRONG.get((kind, test)):
        yield pytest.mark.xfail(reason=reason, strict=True)
