"""What an environment says that says all, against botocore's word for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from transfer.stores import credentials
from transfer.stores.credentials import AwsChain
from transfer.stores.environment import says_all

KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"AWS_SESSION_TOKEN": "token", "AWS_DEFAULT_REGION": "eu-west-1", "AWS_REGION": "us-west-2"},
        {"AWS_SECURITY_TOKEN": "old", "AWS_ENDPOINT_URL": "http://one"},
        {"AWS_ENDPOINT_URL": "http://one", "AWS_ENDPOINT_URL_S3": "http://two", "AWS_SESSION_TOKEN": ""},
    ],
    ids=["bare", "token", "old-token", "endpoints"],
)
async def test_it_is_as_botocore_says(more: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    _only(KEYS | more, monkeypatch, tmp_path)
    assert says_all(os.environ)
    found = await AwsChain().settings(), await AwsChain().current()
    monkeypatch.setattr(credentials, "says_all", lambda _: False)
    assert found == (await AwsChain().settings(), await AwsChain().current())


@pytest.mark.parametrize("name", ["AWS_PROFILE", "AWS_CREDENTIAL_EXPIRATION", "AWS_CONFIG_FILE"])
def test_what_says_more_is_for_botocore(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    file = tmp_path / "there"
    file.write_text("")
    _only(KEYS | {name: str(file)}, monkeypatch, tmp_path)
    assert not says_all(os.environ)


@pytest.mark.parametrize("name", KEYS)
def test_half_a_pair_of_keys_is_for_botocore(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    _only({name: "only"}, monkeypatch, tmp_path)
    assert not says_all(os.environ)


def _only(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
