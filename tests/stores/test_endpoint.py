from __future__ import annotations

import pytest

from transfer.errors import UsageError
from transfer.stores.endpoint import resolve_endpoint


@pytest.mark.parametrize(
    ("told", "url"),
    [
        ({}, "https://bucket.s3.us-east-1.amazonaws.com/a%20b"),
        ({"region": "eu-central-1"}, "https://bucket.s3.eu-central-1.amazonaws.com/a%20b"),
        ({"region": "cn-north-1"}, "https://bucket.s3.cn-north-1.amazonaws.com.cn/a%20b"),
        ({"path_style": True}, "https://s3.us-east-1.amazonaws.com/bucket/a%20b"),
        ({"url": "http://127.0.0.1:9000"}, "http://127.0.0.1:9000/bucket/a%20b"),
        ({"url": "http://127.0.0.1:9000/"}, "http://127.0.0.1:9000/bucket/a%20b"),
        ({"url": "https://s3.example.org:443/base/"}, "https://s3.example.org/base/bucket/a%20b"),
        ({"url": "https://s3.example.org", "path_style": False}, "https://bucket.s3.example.org/a%20b"),
        ({"url": "http://[::1]:9000"}, "http://[::1]:9000/bucket/a%20b"),
        ({"url": "https://amazonaws.com.example.org"}, "https://amazonaws.com.example.org/bucket/a%20b"),
    ],
)
def test_addresses(told: dict, url: str) -> None:
    endpoint = resolve_endpoint("bucket", **told)
    assert endpoint.origin + endpoint.path("a b") == url
    assert endpoint.origin.endswith(endpoint.host)


def test_a_bucket_with_a_dot_is_never_in_the_host_name() -> None:
    assert resolve_endpoint("my.bucket").path("k") == "/my.bucket/k"


@pytest.mark.parametrize(
    ("url", "signs"),
    [("http://127.0.0.1:1", False), ("http://localhost", False), ("http://[::1]", False),
     ("https://s3.example.org", False), ("http://s3.example.org", True), ("http://10.0.0.1:9000", True)],
)  # fmt: skip
def test_bodies_are_signed_only_on_an_open_wire(url: str, signs: bool) -> None:
    assert resolve_endpoint("bucket", url=url).signs_payload is signs


@pytest.mark.parametrize(
    "url",
    ["", "s3.example.org", "ftp://x", "http://", "http://x:y", "http://x:99999", "http://x/?a=b", "http://x/#f",
     "http://user:password@x"],
)  # fmt: skip
def test_what_is_no_endpoint(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_endpoint("bucket", url=url or "?")
    assert "password" not in str(caught.value)
