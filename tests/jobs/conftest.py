"""Real S3 servers, one of each make for the session; every test has a bucket of its own."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.attempts import ALL, Site, check_complete, fill_source, new_site
from tests.jobs.buckets import Bucket, make_bucket
from tests.jobs.memory_import import SIZES
from tests.jobs.shipment import files_of, make_device, write_profile
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
    return write_profile(tmp_path / "small.toml")


@pytest.fixture(scope="session")
def varied_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See `fill_source`."""
    return fill_source(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="session")
def varied_device(varied_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device with the varied source, in several packs."""
    place = tmp_path_factory.mktemp("device")
    return make_device(place / "device", varied_source, write_profile(place / "tiny.toml", **SIZES))


@pytest.fixture(scope="session")
def undisturbed(varied_source: Path, varied_device: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The varied device, imported with nothing in its way."""
    site = new_site(varied_device, tmp_path_factory.mktemp("site") / "undisturbed", ALL)

    async def import_it() -> None:
        imported = await site.attempt()
        assert (imported.error, imported.failed, imported.codes) == (None, {}, set())
        others = {"empty/inner/": b"", "symlink.rclonelink": b"a/small 1"}
        assert imported.objects == files_of(varied_source) | others
        await check_complete(site, site)

    asyncio.run(import_it())
    return site
