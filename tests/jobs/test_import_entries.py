"""What an entry becomes in the bucket."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.core.filters import Filter
from transfer.core.object_metadata import check_metadata, to_headers
from transfer.core.records import Directory, File, Symlink
from transfer.core.s3_limits import AWS_LIMITS, S3Limits
from transfer.jobs.import_.entries import _MOST_METADATA_BYTES, is_wanted, target_of
from transfer.jobs.import_.options import ImportOptions

OPTIONS = ImportOptions(bucket="b", prefix="p/")
TIMES = {"mode": 0o7777, "mtime_ns": -(2**63), "uid": 2**32 - 1, "gid": 2**32 - 1}
SUMS = {"blake3": "0" * 64, "crc64nvme": "0" * 16, "crc32c": "0" * 8}


def _file(**changed: int) -> File:
    return File(path="f", size_bytes=0, **SUMS, **{**TIMES, **changed})


@given(
    name=st.text(min_size=1, max_size=80),
    mtime_ns=st.integers(-(2**63), 2**63 - 1),
    ids=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
)
def test_metadata_always_fits(name: str, mtime_ns: int, ids: tuple[int, int]) -> None:
    """So it need not be measured for each file."""
    path = name.encode(errors="replace")
    target = target_of(path, _file(mtime_ns=mtime_ns, uid=ids[0], gid=ids[1]), 0, OPTIONS)
    headers = to_headers(target.metadata)
    assert sum(len(name) + len(value) + 4 for name, value in headers.items()) <= _MOST_METADATA_BYTES
    tight = replace(AWS_LIMITS, user_metadata_max_bytes=_MOST_METADATA_BYTES, headers_max_bytes=512)
    assert check_metadata(target.metadata, tight) is None


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        (S3Limits(user_metadata_max_bytes=40), "user metadata"),
        (S3Limits(headers_max_bytes=60), "headers"),
        (S3Limits(object_max_bytes=9), "10 bytes"),
        (S3Limits(key_max_bytes=2), "the key is"),
    ],
)
def test_every_limit_is_checked_before_sending(limits: S3Limits, word: str) -> None:
    assert word in target_of(b"f", _file(), 10, replace(OPTIONS, limits=limits)).problem


def test_keys_and_types_of_all_kinds() -> None:
    link = Symlink(path="a.html", target="x", **TIMES)
    folder = Directory(path="a.html/", **TIMES)
    targets = [target_of(record.path_bytes, record, 0, OPTIONS) for record in (_file(), link, folder)]
    assert [target.key for target in targets] == ["p/f", "p/a.html.rclonelink", "p/a.html/"]
    types = [target.metadata.content_type for target in targets]
    assert types == ["application/octet-stream", "text/plain", "application/x-directory"]
    assert targets[0].metadata.user["mtime"] == "-9223372036.854775808"


def test_a_folder_is_asked_about_as_by_a_walk() -> None:
    rules = Filter.parse(include=["*.txt"])
    assert is_wanted(b"a/", None, rules)
    assert is_wanted(b"a/b.txt", 1, rules)
    assert not is_wanted(b"a/b.bin", 1, rules)
    assert not is_wanted(b"a/", None, Filter.parse(exclude=["a/**"]))
