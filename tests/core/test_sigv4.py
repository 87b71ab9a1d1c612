"""Signatures against AWS's own examples and against botocore's signer, request by request."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime
from unittest import mock

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.utils import percent_encode

from transfer.core import sigv4
from transfer.core.sigv4 import Credentials

# Amazon S3 API Reference, "Signature Calculations for the Authorization Header": credentials and time.
AWS_EXAMPLE = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
AWS_TIME = datetime(2013, 5, 24, tzinfo=UTC)
AWS_HOST = "examplebucket.s3.amazonaws.com"
EXAMPLES = {
    "GET object": (
        "GET", "/test.txt", "", {"Range": "bytes=0-9"}, b"",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    "PUT object": (
        "PUT", "/test$file.text", "",
        {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
        b"Welcome to Amazon S3.",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
    "GET bucket lifecycle": (
        "GET", "/", [("lifecycle", "")], {}, b"",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    "GET bucket, list": (
        "GET", "/", [("max-keys", "2"), ("prefix", "J")], {}, b"",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
def test_aws_examples(name: str) -> None:
    method, path, query, headers, body, expected = EXAMPLES[name]
    signed = sigv4.signed_headers(
        method,
        sigv4.encode_path(path),
        sigv4.encode_query(query),
        {"Host": AWS_HOST, **headers},
        hashlib.sha256(body).hexdigest(),
        credentials=AWS_EXAMPLE,
        region="us-east-1",
        now=AWS_TIME,
    )
    assert signed["Authorization"].rpartition("=")[2] == expected


def test_aws_example_of_a_presigned_request() -> None:
    query = sigv4.presigned_query(
        "GET", "/test.txt", [], {"host": AWS_HOST},
        credentials=AWS_EXAMPLE, region="us-east-1", now=AWS_TIME, expires_s=86400,
    )  # fmt: skip
    expected = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    assert query.rpartition("=")[2] == expected


KEY_PIECES = [*" +/.~%&=?#'\"*()!$,;:@\\_-aZ0üß日😀\n", "//", "/../", "/./", "%2F"]
NAMES = ["prefix", "uploads", "list-type", "a b", "ü", "X", "x", "marker", "x-id"]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BOTOCORE_NOW = NOW.replace(tzinfo=None)
SEEDS = range(40)
REQUESTS_PER_SEED = 100


def _random_request(rng: random.Random) -> tuple[str, str, list[tuple[str, str]], dict[str, str]]:
    def text(longest: int) -> str:
        return "".join(rng.choices(KEY_PIECES, k=rng.randrange(longest)))

    query = [(rng.choice(NAMES), text(4)) for _ in range(rng.randrange(5))]
    headers = {"host": rng.choice(["bucket.s3.amazonaws.com", "127.0.0.1:9000"])}
    for number in range(rng.randrange(4)):
        spaced = "  ".join(rng.choices(["value", "b", "7=", "a,b"], k=rng.randrange(1, 4)))
        headers[rng.choice(["x-amz-meta-", "X-Amz-Meta-"]) + str(number)] = spaced
    return rng.choice(["GET", "PUT", "HEAD", "POST", "DELETE"]), "/" + text(12), query, headers


def _botocore_request(method: str, path: str, query: list, headers: dict) -> AWSRequest:
    url = f"https://{headers['host']}{percent_encode(path, safe='/~')}"
    if query:
        pairs = [f"{percent_encode(name)}={percent_encode(value)}" for name, value in query]
        url += "?" + "&".join(pairs)  # unsorted, it sorts by itself
    return AWSRequest(method=method, url=url, headers=dict(headers))


@pytest.mark.parametrize("seed", SEEDS)
def test_signatures_are_botocores(seed: int) -> None:
    rng = random.Random(seed)
    token = rng.choice([None, "session/token=="])
    with mock.patch("botocore.auth.get_current_datetime", return_value=BOTOCORE_NOW):
        for _ in range(REQUESTS_PER_SEED):
            method, path, query, headers = _random_request(rng)
            request = _botocore_request(method, path, query, headers)
            payload = rng.choice([sigv4.UNSIGNED_PAYLOAD, sigv4.EMPTY_SHA256])
            request.headers["X-Amz-Content-SHA256"] = payload
            signer = S3SigV4Auth(BotocoreCredentials("AKID", "s3cr/et+", token), "s3", "eu-central-1")
            with mock.patch.object(signer, "payload", return_value=payload):
                signer.add_auth(request)
            ours = sigv4.signed_headers(
                method, sigv4.encode_path(path), sigv4.encode_query(query), headers, payload,
                credentials=Credentials("AKID", "s3cr/et+", token), region="eu-central-1",
                now=NOW,
            )  # fmt: skip
            assert ours["Authorization"] == request.headers["Authorization"], (method, path, query, headers)


@pytest.mark.parametrize("seed", SEEDS)
def test_presigned_requests_are_botocores(seed: int) -> None:
    rng = random.Random(seed)
    token = rng.choice([None, "session/token=="])
    with mock.patch("botocore.auth.get_current_datetime", return_value=BOTOCORE_NOW):
        for _ in range(REQUESTS_PER_SEED // 4):
            method, path, query, headers = _random_request(rng)
            query = [*dict(query).items()]  # botocore's query signer drops repeated names
            request = _botocore_request(method, path, query, headers)
            S3SigV4QueryAuth(
                BotocoreCredentials("AKID", "s3cr/et+", token), "s3", "eu-central-1", expires=77
            ).add_auth(request)
            ours = sigv4.presigned_query(
                method, sigv4.encode_path(path), query, headers,
                credentials=Credentials("AKID", "s3cr/et+", token), region="eu-central-1",
                now=NOW, expires_s=77,
            )  # fmt: skip
            theirs = request.url.rpartition("X-Amz-Signature=")[2]
            assert ours.rpartition("X-Amz-Signature=")[2] == theirs, (method, path, query, headers)


def test_a_query_is_sorted_by_what_is_sent() -> None:
    pairs = [("b", "2"), ("a", "~"), ("a", ""), ("ü", " "), ("a", "+")]
    assert sigv4.encode_query(pairs) == "%C3%BC=%20&a=&a=%2B&a=~&b=2"


def test_secrets_stay_out_of_repr() -> None:
    shown = repr(Credentials("AKID", "hidden-secret", "hidden-token"))
    assert "AKID" in shown
    assert "hidden" not in shown


@pytest.mark.parametrize("expires_s", [0, -1, 604_801])
def test_a_presigned_request_lives_a_week_at_most(expires_s: int) -> None:
    with pytest.raises(ValueError, match="1 to 604800"):
        sigv4.presigned_query(
            "GET",
            "/",
            [],
            {"host": "h"},
            credentials=AWS_EXAMPLE,
            region="r",
            now=AWS_TIME,
            expires_s=expires_s,
        )
