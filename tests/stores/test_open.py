"""Credentials, region and endpoint as AWS tools find them, and the store that comes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulators.strict_s3 import ACCESS_KEY, SECRET_KEY, StrictServer
from tests.stores.conftest import store_on
from tests.stores.test_pacing import Clock
from transfer.core.sigv4 import Credentials
from transfer.core.sizes import MIB
from transfer.errors import AccessError, UsageError
from transfer.stores.checksums import checksums_of
from transfer.stores.credentials import AwsChain, AwsSettings
from transfer.stores.http import HttpOptions, HttpTransport
from transfer.stores.open import open_store
from transfer.stores.pacing import Pace


@pytest.fixture(autouse=True)
def aws_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of this machine's own configuration."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return tmp_path


def keys_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)


async def test_credentials_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    keys_in_environment(monkeypatch)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    chain = AwsChain()
    assert await chain.current() == Credentials(ACCESS_KEY, SECRET_KEY, "token")
    assert await chain.renew() is False


async def test_no_credentials_says_what_was_tried() -> None:
    with pytest.raises(AccessError, match=r"AWS_ACCESS_KEY_ID.*instance roles") as caught:
        await AwsChain().current()
    assert caught.value.exit_code == 12
    assert "--no-sign-request" in caught.value.remedy


async def test_credentials_of_a_profiles_process_are_read_anew(aws_home: Path) -> None:
    answer = aws_home / "answer.json"
    (aws_home / "config").write_text(f"[profile lab]\ncredential_process = cat {answer}\n")

    def write(secret: str) -> None:
        answer.write_text(json.dumps({"Version": 1, "AccessKeyId": "A", "SecretAccessKey": secret}))

    write("first")
    chain = AwsChain("lab")
    assert await chain.current() == Credentials("A", "first")
    write("second")
    assert await chain.current() == Credentials("A", "first")
    assert await chain.renew() is True
    assert await chain.current() == Credentials("A", "second")


async def test_credentials_about_to_expire_are_renewed_before_they_are_used(aws_home: Path) -> None:
    answer = aws_home / "answer.json"
    (aws_home / "config").write_text(f"[profile lab]\ncredential_process = cat {answer}\n")

    def write(secret: str) -> None:
        told = {
            "Version": 1,
            "AccessKeyId": "A",
            "SecretAccessKey": secret,
            "Expiration": "2101-01-01T00:00:00Z",
        }
        answer.write_text(json.dumps(told))

    write("old")
    chain = AwsChain("lab")
    assert (await chain.current()).secret_key == "old"
    write("new")
    assert (await chain.current()).secret_key == "old"
    chain._source._expiry_time = chain._source._expiry_time.replace(year=2001)
    assert (await chain.current()).secret_key == "new"


async def test_no_such_profile() -> None:
    with pytest.raises(UsageError, match="'none'"):
        await AwsChain("none").settings()
    with pytest.raises(AccessError, match="'none'"):
        await AwsChain("none").current()


async def test_settings_of_profile_and_environment(aws_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await AwsChain().settings() == AwsSettings(None, None, None)
    (aws_home / "config").write_text(
        "[profile lab]\nregion = eu-west-3\nendpoint_url = http://from-profile\n"
        "s3 =\n  addressing_style = path\n"
    )
    assert await AwsChain("lab").settings() == AwsSettings("eu-west-3", "http://from-profile", True)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://from-environment")
    assert (await AwsChain("lab").settings()).endpoint_url == "http://from-environment"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://for-s3")
    assert (await AwsChain("lab").settings()).endpoint_url == "http://for-s3"
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert (await AwsChain("lab").settings()).endpoint_url is None


async def test_an_opened_store_works(server: StrictServer, monkeypatch: pytest.MonkeyPatch) -> None:
    keys_in_environment(monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store = await open_store(f"s3://{server.bucket}/some/prefix", endpoint_url=server.endpoint_url)
    await store.put("key", [b"x"], checksums=checksums_of([b"x"]))
    assert [item.key async for item in store.list()] == ["key"]
    await store.aclose()


async def test_anonymous_requests_carry_no_signature(server: StrictServer) -> None:
    store = await open_store(server.bucket, endpoint_url=server.endpoint_url, no_sign_request=True)
    with pytest.raises(AccessError, match="AccessDenied"):  # the strict server lets nobody in without one
        await anext(store.list())
    await store.aclose()


@pytest.mark.parametrize("bucket", ["", "s3:/x", "a/b", "S3://bucket"])
async def test_what_is_no_bucket(bucket: str) -> None:
    with pytest.raises(UsageError):
        await open_store(bucket)


async def test_bodies_go_out_and_come_in_at_their_rates(server: StrictServer) -> None:
    out, back = Clock(), Clock()
    transport = HttpTransport(
        HttpOptions(),
        sent=Pace(lambda: 1.0 * MIB, clock=out, sleep=out.sleep),
        received=Pace(lambda: 2.0 * MIB, clock=back, sleep=back.sleep),
    )
    store = store_on(server, transport)
    data = bytes(8 * MIB)
    await store.put("key", [data], checksums=checksums_of([data]))
    async with store.get("key") as body:
        assert sum([len(piece) async for piece in body]) == len(data)
    await store.aclose()
    assert 7 <= out.now_s <= 8.1
    assert 3.5 <= back.now_s <= 4.1


def test_botocore_is_not_loaded_until_it_is_needed() -> None:
    program = "import sys, transfer.stores.open; sys.exit('botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
