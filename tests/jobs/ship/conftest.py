"""A site with devices, and docks on the same and on another disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.ship.docking import MIB, PACKS, make
from tests.jobs.shipment import write_profile
from tests.simulators.disks import Disk, tmpfs


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source, and a profile of small packs that a carrier takes two days for."""
    place = tmp_path_factory.mktemp("site")
    for name, count in (("source", 7), ("few", 2)):
        (place / name).mkdir()
        for number in range(count):
            (place / name / f"recording {number}").write_bytes(os.urandom(150_000))
    sizes = {"pack_size": "256KiB", "chunk_size": "64KiB", "batch_size": "64KiB"}
    profile = write_profile(place / "small.toml", **sizes)
    text = profile.read_text().replace('reserve = "64MiB"', 'reserve = "1MiB"')
    profile.write_text(text.replace('name = "small"', 'name = "usb-ssd-4tb"'))
    return place


@pytest.fixture(scope="package")
def pristine(site: Path) -> Path:
    device = make(site, "pristine")
    assert len(list(device.glob("packs/*"))) == PACKS
    return device


@pytest.fixture(scope="package")
def small(site: Path) -> Path:
    """A device of two packs."""
    device = make(site, "small", source="few")
    assert len(list(device.glob("packs/*"))) == 2
    return device


@pytest.fixture
def device(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "ssd"))


@pytest.fixture
def dock(tmp_path: Path) -> Path:
    (tmp_path / "dock").mkdir()
    return tmp_path / "dock"


@pytest.fixture
def elsewhere() -> Iterator[Disk]:
    """A dock on a disk of its own, where nothing gets to by renaming."""
    with tmpfs(32 * MIB) as disk:
        yield disk
