"""Who reads the files of these tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.formats.age.programs import Age
from transfer.formats.age.keys import Identity


@pytest.fixture
def identity() -> Identity:
    """A new identity."""
    return Identity.generate()


@pytest.fixture
def age(tmp_path: Path, identity: Identity) -> Age:
    """The age program, holding that identity."""
    return Age(tmp_path, identity)
