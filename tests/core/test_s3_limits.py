from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.core.s3_limits import S3Limits, check_key
from transfer.core.s3_uri import S3Uri, check_bucket, is_s3_uri, parse_s3_uri
from transfer.errors import UsageError


@pytest.mark.parametrize(
    "key",
    ["a", "a/b", "/leading", "trailing/", "a//b", "...", "a/.b", "..a/b", " ", "tab\tnewline\n\r", "\x7f",
     "100%", "😀" * 256, "k" * 1024],
)  # fmt: skip
def test_fine_keys(key: str) -> None:
    assert check_key(key) is None


@pytest.mark.parametrize(
    ("key", "words"),
    [("", "empty"), ("k" * 1025, "1,025 bytes"), ("😀" * 257, "1,028 bytes"), ("a\x00b", "U+0000"),
     ("\x1b[2J", "U+001B"), ("x\ufffe", "U+FFFE"), ("\udcff", "not Unicode"), (".", "segment"),
     ("a/..", "segment"), ("./a", "segment"), ("a/../b", "segment")],
)  # fmt: skip
def test_refused_keys(key: str, words: str) -> None:
    assert words in (check_key(key) or "")


def test_the_length_is_the_endpoints() -> None:
    assert check_key("k" * 300, S3Limits(key_max_bytes=255)) is not None


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_a_fine_key_can_be_told_in_xml(key: str) -> None:
    """XML 1.0 §2.2, production 2, written the other way round: the characters that are allowed."""
    char = "[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*"
    if check_key(key) is None:
        assert re.fullmatch(char, key)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket", S3Uri("bucket", "")),
        ("s3://bucket/", S3Uri("bucket", "")),
        ("s3://bucket/a/b", S3Uri("bucket", "a/b")),
        ("s3://bucket//a%20b?x#y", S3Uri("bucket", "/a%20b?x#y")),
        ("s3://My_bucket.example-1/ü/", S3Uri("My_bucket.example-1", "ü/")),
    ],
)
def test_addresses(text: str, expected: S3Uri) -> None:
    assert parse_s3_uri(text) == expected
    assert is_s3_uri(text)
    assert parse_s3_uri(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "bucket", "s3:/bucket", "s3://", "s3:///key", "s3://ab/key", "s3://a..b/", "s3://-ab/", "S3://bucket",
     "s3://bu cket/", "s3://" + "b" * 64, "s3://bücket/", "s3://user@bucket/", "https://bucket/", "s3://bucket/\udcff"],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_s3_uri(text)
    assert caught.value.remedy


def test_a_file_name_is_no_address() -> None:
    assert not is_s3_uri("data/s3://x")
    assert check_bucket("bucket") == "bucket"
