"""A source to fill and a prepared device."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jobs.copy.copying import prepared


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """An empty folder."""
    place = tmp_path / "source"
    place.mkdir()
    return place


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A device with tiny packs."""
    return prepared(tmp_path / "device")
