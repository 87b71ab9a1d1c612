"""Real S3 servers, one of each make for the session; every test has a bucket of its own."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.buckets import Bucket, make_bucket
from tests.simulators.servers import S3Server, moto_s3, rclone_s3

MAKES = ("rclone", "moto")
_numbers = itertools.count()


@pytest.fixture(scope="session")
def rclone_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with rclone_s3(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    with moto_s3() as server:
        yield server


@pytest.fixture
def bucket(request: pytest.FixtureRequest) -> Bucket:
    """A new bucket: on rclone's server, unless the test is given to both makes by `both_makes`."""
    make = getattr(request, "param", "rclone")
    server: S3Server = request.getfixturevalue(f"{make}_server")
    return make_bucket(server, f"import-{next(_numbers):04}", make)


@pytest.fixture
def no_loose_ends(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The event loop complains of nothing: no exception never retrieved, no task destroyed while pending."""
    yield
    complaints = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert complaints == []


@pytest.fixture
def small_profile(tmp_path: Path) -> Path:
    """A device profile with packs and chunks so small that little data shows many."""
    from tests.jobs.shipment import write_profile

    return write_profile(tmp_path / "small.toml")
