from __future__ import annotations

import base64
import hashlib
import zlib

import boto3
import pytest
from awscrt import checksums as crt
from hypothesis import given
from hypothesis import strategies as st

from tests.simulators.servers import moto_s3
from transfer.stores.checksums import (
    EMPTY,
    checksums_of,
    combine,
    composite_crc32c,
    composite_etag,
    decode,
    encode,
    size_of,
)
from transfer.stores.contract import ChecksumKind, Checksums, Part

pieces = st.lists(st.binary(max_size=200), max_size=6)


@given(pieces)
def test_combining_is_computing_over_the_whole(parts: list[bytes]) -> None:
    whole = b"".join(parts)
    combined = combine((checksums_of([part]), len(part)) for part in parts)
    assert combined == checksums_of(parts) == Checksums(crt.crc64nvme(whole), crt.crc32c(whole))


@given(pieces)
def test_views_are_read_as_their_bytes(parts: list[bytes]) -> None:
    views = [memoryview(b"x" + part)[1:] for part in parts]
    assert checksums_of(views) == checksums_of(parts)
    assert size_of(views) == size_of(parts) == sum(map(len, parts))


def test_the_check_values_of_the_catalogue() -> None:
    """CRC RevEng's catalogue: CRC-64/NVME and CRC-32/ISCSI of "123456789"."""
    assert checksums_of([b"123456789"]) == Checksums(0xAE8B14860A799888, 0xE3069283)
    assert checksums_of([]) == EMPTY
    assert zlib.crc32(b"123456789") != 0xE3069283


@pytest.mark.parametrize("kind", [ChecksumKind.CRC64NVME, ChecksumKind.CRC32C])
def test_spelling(kind: ChecksumKind) -> None:
    text = encode(1, kind)
    assert base64.b64decode(text)[-1] == 1
    assert decode(text, kind) == 1
    for wrong in (None, "", "!!", "AAAA", f"{text}-3", "ü"):
        assert decode(wrong, kind) is None


def test_etag_and_checksum_of_parts_are_those_of_moto() -> None:
    data = [b"a" * 5 * 1024 * 1024, b"b"]
    parts = [
        Part(number, len(piece), hashlib.md5(piece).hexdigest(), checksums_of([piece]))
        for number, piece in enumerate(data, 1)
    ]
    with moto_s3() as server:
        client = boto3.client(
            "s3",
            endpoint_url=server.endpoint_url,
            aws_access_key_id="a",
            aws_secret_access_key="b",
            region_name="us-east-1",
        )
        client.create_bucket(Bucket="bucket")
        upload = client.create_multipart_upload(Bucket="bucket", Key="k")["UploadId"]
        listed = [
            {
                "PartNumber": number,
                "ETag": client.upload_part(
                    Bucket="bucket", Key="k", UploadId=upload, PartNumber=number, Body=piece
                )["ETag"],
            }
            for number, piece in enumerate(data, 1)
        ]
        done = client.complete_multipart_upload(
            Bucket="bucket", Key="k", UploadId=upload, MultipartUpload={"Parts": listed}
        )
        client.close()
    assert done["ETag"] == f'"{composite_etag(parts)}"'


def test_a_composite_checksum_is_that_of_the_parts_checksums() -> None:
    parts = [Part(1, 1, "", checksums_of([b"a"])), Part(2, 1, "", checksums_of([b"b"]))]
    joined = crt.crc32c(b"a").to_bytes(4, "big") + crt.crc32c(b"b").to_bytes(4, "big")
    assert composite_crc32c(parts) == encode(crt.crc32c(joined), ChecksumKind.CRC32C) + "-2"
    assert composite_crc32c([*parts, Part(3, 1, "")]) is None


@pytest.mark.parametrize("etag", ["", "no hex", "abcd", "d41d8cd98f00b204e9800998ecf8427e-1"])
def test_an_etag_that_is_no_md5_makes_no_composite(etag: str) -> None:
    assert composite_etag([Part(1, 1, etag)]) is None
