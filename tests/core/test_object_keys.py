"""Entry paths to object keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.core.object_keys import folder_prefix, object_key
from transfer.core.s3_limits import S3Limits

CHARACTERS = st.characters(exclude_characters="/\0", exclude_categories=["Cs"])
PATHS = st.lists(st.text(CHARACTERS, min_size=1), min_size=1).map("/".join)


@pytest.mark.parametrize(
    ("prefix", "made"), [("", ""), ("a", "a/"), ("a/", "a/"), ("a/b", "a/b/"), ("a//", "a//")]
)
def test_a_prefix_is_a_folder(prefix: str, made: str) -> None:
    assert folder_prefix(prefix) == made


@given(prefix=st.sampled_from(["", "a/", "ü ö/"]), path=PATHS)
def test_a_key_is_prefix_and_path_byte_for_byte(prefix: str, path: str) -> None:
    key, problem = object_key(prefix, path.encode())
    assert key.encode() == prefix.encode() + path.encode()
    refused = len(key.encode()) > 1024 or any(name in (".", "..") for name in key.split("/"))
    assert bool(problem) is (refused or any(not _xml_can_carry(char) for char in key))


def _xml_can_carry(char: str) -> bool:
    """XML 1.0 §2.2, production Char."""
    code = ord(char)
    return code in (0x9, 0xA, 0xD) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000


@given(st.binary(min_size=1))
def test_what_is_not_utf8_is_refused_and_shown(path: bytes) -> None:
    key, problem = object_key("p/", path)
    try:
        assert key == "p/" + path.decode()
    except UnicodeDecodeError:
        assert "not UTF-8" in problem
        assert key.startswith("p/")
        key.encode()  # fit for a report


def test_the_prefix_counts_into_the_length() -> None:
    limits = S3Limits(key_max_bytes=10)
    assert object_key("12345/", b"7890", limits) == ("12345/7890", "")
    assert "11 bytes" in object_key("12345/", b"78901", limits)[1]


def test_a_prefix_that_is_not_unicode_is_refused() -> None:
    assert "not Unicode" in object_key("\udcff/", b"a")[1]
