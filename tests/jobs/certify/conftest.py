"""Somebody who signs."""

from __future__ import annotations

import pytest

from tests.jobs.certify.certifying import Issuer
from tests.ssh_tools import make_key, signers_file


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    folder = tmp_path_factory.mktemp("issuer")
    key = make_key(folder)
    return Issuer(key, signers_file(folder, key))
