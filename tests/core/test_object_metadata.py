from __future__ import annotations

from email.header import decode_header, make_header

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transfer.core.content_type import guess_content_type
from transfer.core.file_metadata import file_metadata, format_mtime, parse_mtime, parse_permissions
from transfer.core.object_metadata import (
    ObjectMetadata,
    check_metadata,
    decode_value,
    encode_value,
    from_headers,
    to_headers,
)
from transfer.core.s3_limits import S3Limits

texts = st.text(st.characters(exclude_categories=["Cs"]))
names = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.", min_size=1)
plain = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)
metadata = st.builds(
    ObjectMetadata,
    content_type=st.none() | plain,
    content_encoding=st.none() | plain,
    content_disposition=st.none() | plain,
    content_language=st.none() | plain,
    cache_control=st.none() | plain,
    expires=st.none() | plain,
    storage_class=st.none() | plain,
    user=st.dictionaries(names, texts),
)


@given(metadata)
def test_headers_bring_it_all_back(told: ObjectMetadata) -> None:
    headers = to_headers(told)
    assert from_headers(headers) == told
    assert from_headers({name.title(): value for name, value in headers.items()}) == told


@given(texts)
@example("=?UTF-8?B?w7w=?=")
@example(" two  spaces ")
def test_header_values_are_ascii_that_http_leaves_alone(text: str) -> None:
    value = encode_value(text)
    assert value.isascii()
    assert " ".join(value.split()) == value
    assert value.isprintable()
    assert decode_value(value) == text


@given(texts.filter(lambda text: not text.isascii()))
def test_encoded_words_are_those_of_the_mail_standard(text: str) -> None:
    """Python's own reader of RFC 2047 is the oracle."""
    value = encode_value(text)
    assert all(len(word) <= 75 for word in value.split())
    assert str(make_header(decode_header(value))) == text


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("=?UTF-8?Q?=C3=BCber_alles?=", "über alles"),
        ("=?utf-8?b?w7w=?= =?UTF-8?B?w6Q=?=", "üä"),
        ("=?UTF-8?B?w7w=?= and more", "=?UTF-8?B?w7w=?= and more"),
        ("=?UTF-8?B?!!!?=", "=?UTF-8?B?!!!?="),
        ("=?UTF-8?B?/w==?=", "=?UTF-8?B?/w==?="),
        ("=?ISO-8859-1?Q?=FC?=", "=?ISO-8859-1?Q?=FC?="),
        ("plain text", "plain text"),
    ],
)
def test_values_as_other_writers_send_them(sent: str, expected: str) -> None:
    assert decode_value(sent) == expected


def test_plain_values_are_sent_as_they_are() -> None:
    assert to_headers(ObjectMetadata(user={"mtime": "1.5", "note": "a b"})) == {
        "x-amz-meta-mtime": "1.5",
        "x-amz-meta-note": "a b",
    }


def test_tags_go_as_a_query_string() -> None:
    headers = to_headers(ObjectMetadata(tags={"a b": "ü&=", "c": ""}))
    assert headers == {"x-amz-tagging": "a+b=%C3%BC%26%3D&c="}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (ObjectMetadata(content_type="text/ü"), "content_type"),
        (ObjectMetadata(cache_control="a\r\nx-amz-acl: public-read"), "cache_control"),
        (ObjectMetadata(user={"Upper": "x"}), "'Upper'"),
        (ObjectMetadata(user={"a b": "x"}), "'a b'"),
        (ObjectMetadata(user={"": "x"}), "''"),
        (ObjectMetadata(user={"a": "x" * 2048}), "2,049 bytes"),
        (ObjectMetadata(user={"a": "ü" * 1000}), "2,"),
        (ObjectMetadata(tags={str(number): "" for number in range(11)}), "11 tags"),
        (ObjectMetadata(tags={"k" * 129: ""}), "too long"),
        (ObjectMetadata(tags={"k": "v" * 257}), "too long"),
        (ObjectMetadata(content_disposition="x" * 8200), "headers of"),
    ],
)
def test_what_a_store_would_refuse(told: ObjectMetadata, words: str) -> None:
    assert words in (check_metadata(told) or "")


def test_limits_are_the_endpoints() -> None:
    told = ObjectMetadata(user={"a": "x" * 100}, content_type="text/plain; charset=utf-8")
    assert check_metadata(told) is None
    assert check_metadata(told, S3Limits(user_metadata_max_bytes=100)) is not None


@given(st.integers(-(2**63), 2**63 - 1))
def test_mtime_is_exact(mtime_ns: int) -> None:
    assert parse_mtime(format_mtime(mtime_ns)) == mtime_ns


@pytest.mark.parametrize(
    ("text", "mtime_ns"),
    [("0", 0), ("1700000000.123456789", 1_700_000_000_123_456_789), ("-1.5", -1_500_000_000),
     ("-0.000000001", -1), ("1.5", 1_500_000_000), ("1.1234567899", 1_123_456_789),
     ("", None), ("1.", None), (".5", None), ("1e9", None), ("+1", None), ("٣", None), ("9" * 19, None),
     ("nan", None)],
)  # fmt: skip
def test_mtimes_of_others(text: str, mtime_ns: int | None) -> None:
    assert parse_mtime(text) == mtime_ns


def test_a_files_metadata() -> None:
    told = file_metadata(mtime_ns=-1_500_000_000, mode=0o100644, uid=1000, gid=0)
    assert told == {
        "mtime": "-1.5",
        "file-permissions": "0100644",
        "file-owner": "1000",
        "file-group": "0",
    }
    assert parse_permissions(told) == 0o644
    assert file_metadata(mtime_ns=0) == {"mtime": "0"}


@pytest.mark.parametrize(
    ("text", "mode"),
    [("0755", 0o755), ("755", 0o755), ("0104755", 0o4755), ("rwx", None), ("9", None), ("", None)],
)
def test_permissions_of_others(text: str, mode: int | None) -> None:
    assert parse_permissions({"file-permissions": text}) == mode


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/b/photo.JPG", "image/jpeg"),
        ("index.html", "text/html"),
        ("archive.tar.gz", "application/gzip"),
        ("pack.tar.zst", "application/zstd"),
        ("no-extension", "application/octet-stream"),
        (".gz", "application/octet-stream"),
        ("dir.html/file", "application/octet-stream"),
        ("data:text/html,x", "application/octet-stream"),
        ("strange.ex\udcfft", "application/octet-stream"),
    ],
)
def test_content_types(name: str, expected: str) -> None:
    assert guess_content_type(name) == expected
