"""A device to put into docks, and a dock."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.jobs.shipment import make_device, write_profile


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where devices are filled: `source` fills three packs."""
    place = tmp_path_factory.mktemp("site")
    (place / "source/deep").mkdir(parents=True)
    for number in range(6):
        (place / f"source/deep/recording {number}").write_bytes(os.urandom(60_000))
    (place / "source/large").write_bytes(os.urandom(400_000))
    write_profile(place / "small.toml", pack_size="256KiB", chunk_size="64KiB", batch_size="64KiB")
    return place


@pytest.fixture(scope="session")
def pristine(site: Path) -> Path:
    """A sealed device of job `test`; to be copied, not touched."""
    return make_device(site / "pristine", site / "source", site / "small.toml")


@pytest.fixture(scope="session")
def another(site: Path) -> Path:
    """Another device with the same content."""
    return make_device(site / "another", site / "source", site / "small.toml")


@pytest.fixture
def dock(tmp_path: Path) -> Path:
    (tmp_path / "dock").mkdir()
    return tmp_path / "dock"
