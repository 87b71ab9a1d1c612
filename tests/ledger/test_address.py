"""Paths and URLs of ledgers; nothing secret in what is said about them."""

from __future__ import annotations

import pytest

from transfer.errors import UsageError
from transfer.ledger.address import FileAddress, ServerAddress, parse_address


@pytest.mark.parametrize("path", ["ledger.sqlite", "/a/b%20c", "file:x", ":memory:", "a:b@c/d", "ä\udcff"])
def test_a_path_is_a_file(path: str) -> None:
    address = parse_address(path)
    assert isinstance(address, FileAddress)
    assert (address.path, address.name) == (path, path)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_a_url_is_a_server(scheme: str) -> None:
    address = parse_address(f"{scheme}://user:s%40cret@host:5433/data?ssl=require")
    assert isinstance(address, ServerAddress)
    assert address.url.drivername == "postgresql+asyncpg"
    assert address.url.password == "s@cret"
    assert address.url.query == {"ssl": "require"}
    assert address.name == "postgresql://host:5433/data"


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "a\0b",
        "mysql://user:secret@host/data",
        "sqlite:///ledger",
        "postgresql://user:secret@host",
        "postgresql://user:secret@host:port/data",
    ],
)
def test_what_is_wrong_is_told_without_the_password(wrong: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parse_address(wrong)
    assert "secret" not in str(refusal.value)
    assert refusal.value.remedy
    assert refusal.value.__cause__ is None
