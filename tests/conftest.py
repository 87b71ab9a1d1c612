"""What every test needs."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# A busy machine is slow now and then; what must not hang has a timeout of its own. With EXAMPLES=1000 in the
# environment, laws that state no number of their own are tried on as many examples.
settings.register_profile("patient", deadline=None, max_examples=int(os.environ.get("EXAMPLES", "50")))
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def state_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands keep ledgers and tokens in a state directory that no other test uses."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
