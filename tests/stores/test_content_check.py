"""What a store says of an object's bytes is checked, and nothing is claimed where it says nothing."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

import boto3
import pytest
from awscrt import checksums as crt
from hypothesis import given
from hypothesis import strategies as st

from tests.simulators.servers import S3Server, moto_s3
from transfer.core.object_metadata import NO_METADATA
from transfer.core.sigv4 import Credentials
from transfer.errors import IntegrityError
from transfer.stores.checksums import checksums_of
from transfer.stores.content_check import ContentCheck, has_composite_only, known_sums_hold
from transfer.stores.contract import ObjectInfo
from transfer.stores.credentials import FixedCredentials
from transfer.stores.endpoint import resolve_endpoint
from transfer.stores.http import HttpOptions, HttpTransport
from transfer.stores.s3 import S3Store
from transfer.stores.s3_answers import object_info
from transfer.stores.s3_connection import S3Connection

DATA = bytes(range(256)) * 40
PARTS = [4000, 4000, len(DATA) - 8000]


def crc32(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")


DIGESTS = {
    "CRC64NVME": lambda data: crt.crc64nvme(data).to_bytes(8, "big"),
    "CRC32C": lambda data: crt.crc32c(data).to_bytes(4, "big"),
    "CRC32": crc32,
    "SHA256": lambda data: hashlib.sha256(data).digest(),
    "SHA1": lambda data: hashlib.sha1(data).digest(),
}
WHOLE = {name: base64.b64encode(digest(DATA)).decode() for name, digest in DIGESTS.items()}
MD5 = hashlib.md5(DATA).hexdigest()


def info(sums: Mapping[str, str] = {}, *, etag: str = "opaque", encrypted_by: str = "") -> ObjectInfo:
    return ObjectInfo(
        "some/key", len(DATA), etag, None, "v7", NO_METADATA, checksums=sums, encrypted_by=encrypted_by
    )


def parts() -> Iterator[bytes]:
    at = 0
    for size in PARTS:
        yield DATA[at : at + size]
        at += size


def verified(check: ContentCheck, data: bytes = DATA) -> str | None:
    for at in range(0, len(data), 999):
        check.update(memoryview(data)[at : at + 999])
    return check.verify()


@pytest.mark.parametrize("name", DIGESTS)
def test_the_sum_of_the_whole_is_checked(name: str) -> None:
    told = info({name: WHOLE[name]}, etag="d41d8cd98f00b204e9800998ecf8427e")
    assert ContentCheck(told).name == name
    assert verified(ContentCheck(told)) == name
    damaged = DATA[:500] + b"\xff" + DATA[501:]
    with pytest.raises(IntegrityError, match=rf"'some/key' \(version v7\): its {name} is"):
        verified(ContentCheck(told), damaged)


def test_the_best_sum_is_chosen() -> None:
    for number, name in enumerate(DIGESTS):
        rest = {other: WHOLE[other] for other in [*DIGESTS][number:]}
        assert ContentCheck(info(dict(reversed(rest.items())))).name == name


@pytest.mark.parametrize(
    ("etag", "encrypted_by", "name"),
    [
        (MD5, "", "MD5"),
        (MD5, "AES256", "MD5"),
        (MD5, "aws:kms", None),
        (MD5, "aws:kms:dsse", None),
        (MD5, "SSE-C", None),
        (MD5, "something new", None),
        (f"{MD5}-1", "", None),
        (MD5.upper(), "", None),
        ("", "", None),
    ],
)
def test_an_etag_is_checked_where_it_is_an_md5(etag: str, encrypted_by: str, name: str | None) -> None:
    told = info(etag=etag, encrypted_by=encrypted_by)
    assert ContentCheck(told).name == verified(ContentCheck(told)) == name


def test_an_etag_that_is_another_md5_is_an_error() -> None:
    with pytest.raises(IntegrityError, match=r"its MD5 is 0{32} in the store"):
        verified(ContentCheck(info(etag="0" * 32)))


def test_an_object_of_another_size_is_an_error_though_nothing_else_is_known() -> None:
    for data in (DATA[:-1], DATA + b"x"):
        with pytest.raises(IntegrityError, match="its size is 10,240 in the store"):
            verified(ContentCheck(info()), data)


@pytest.mark.parametrize("name", DIGESTS)
def test_a_composite_sum_is_checked_where_the_parts_are_known(name: str) -> None:
    digest = DIGESTS[name]
    composite = base64.b64encode(digest(b"".join(map(digest, parts())))).decode()
    told = info({name: f"{composite}-3"})
    assert verified(ContentCheck(told)) is None
    assert verified(ContentCheck(told, PARTS)) == f"composite {name}"
    with pytest.raises(IntegrityError):
        verified(ContentCheck(told, PARTS), DATA[:-1] + b"x")
    for wrong in ([4000, 6240], [len(DATA)], [*PARTS[:2], 0], [*PARTS[:2], PARTS[2] + 1]):
        assert verified(ContentCheck(told, wrong)) is None


def test_a_composite_etag_is_checked_where_the_parts_are_known() -> None:
    etag = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts())).hexdigest() + "-3"
    assert verified(ContentCheck(info(etag=etag), PARTS)) == "composite MD5"
    assert verified(ContentCheck(info(etag=etag, encrypted_by="aws:kms"), PARTS)) is None
    with pytest.raises(IntegrityError):
        verified(ContentCheck(info(etag=etag), PARTS), b"x" + DATA[1:])


def etag_of_parts(size: int) -> str:
    digests = [hashlib.md5(DATA[at : at + size]).digest() for at in range(0, len(DATA), size)]
    return f"{hashlib.md5(b''.join(digests)).hexdigest()}-{len(digests)}"


def test_parts_of_one_size_are_guessed_from_the_first_and_nobody_is_accused() -> None:
    told = info(etag=etag_of_parts(4000))
    assert verified(ContentCheck(told, first_part_bytes=4000)) == "composite MD5"
    assert verified(ContentCheck(told, first_part_bytes=4001)) is None
    assert verified(ContentCheck(told, first_part_bytes=4000), b"x" + DATA[1:]) is None
    for size in (0, -1, 1, len(DATA), 10**18):
        assert verified(ContentCheck(told, first_part_bytes=size)) is None
    with pytest.raises(IntegrityError, match="size"):
        verified(ContentCheck(told, first_part_bytes=4000), DATA[1:])
    whole = info({"SHA1": WHOLE["SHA1"]}, etag=etag_of_parts(4000))
    with pytest.raises(IntegrityError, match="SHA1"):
        verified(ContentCheck(whole, first_part_bytes=4000), b"x" + DATA[1:])


def test_when_the_size_of_a_part_is_worth_asking_for() -> None:
    assert has_composite_only(info(etag=etag_of_parts(4000)))
    assert has_composite_only(info({"SHA1": WHOLE["SHA1"] + "-3"}))
    assert not has_composite_only(info({"SHA1": WHOLE["SHA1"]}, etag=etag_of_parts(4000)))
    assert not has_composite_only(info(etag=MD5))
    assert not has_composite_only(info())


@given(st.lists(st.integers(0, 3000), max_size=12))
def test_it_does_not_matter_how_the_bytes_come(cuts: list[int]) -> None:
    at = [0, *sorted(cuts), 3000]
    data = DATA[:3000]
    etag = hashlib.md5(b"".join(hashlib.md5(data[a : a + 700]).digest() for a in range(0, 3000, 700)))
    told = replace(info(etag=f"{etag.hexdigest()}-5"), size_bytes=3000)
    check = ContentCheck(told, [700, 700, 700, 700, 200])
    for start, end in pairwise(at):
        check.update(data[start:end])
    assert check.verify() == "composite MD5"


def test_sums_that_are_known_are_compared_without_the_bytes() -> None:
    sums = checksums_of([DATA])
    assert known_sums_hold(info(WHOLE), sums) == "CRC64NVME"
    assert known_sums_hold(info({"CRC32C": WHOLE["CRC32C"]}), sums) == "CRC32C"
    assert known_sums_hold(info({"CRC32C": WHOLE["CRC32C"] + "-2", "SHA1": WHOLE["SHA1"]}), sums) is None
    with pytest.raises(IntegrityError, match="its CRC32C is"):
        known_sums_hold(info({"CRC32C": WHOLE["CRC32C"]}), checksums_of([b"other"]))


SUM = WHOLE["CRC32C"]


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"x-amz-checksum-crc32c": SUM}, {"CRC32C": SUM}),
        ({"x-amz-checksum-crc32c": SUM, "x-amz-checksum-type": "FULL_OBJECT"}, {"CRC32C": SUM}),
        ({"x-amz-checksum-crc32c": f"{SUM}-3", "x-amz-checksum-type": "COMPOSITE"}, {"CRC32C": f"{SUM}-3"}),
        ({"x-amz-checksum-crc32c": f"{SUM}-3"}, {"CRC32C": f"{SUM}-3"}),
        # A composite one without its number: the ETag has it, or nobody.
        (
            {"x-amz-checksum-crc32c": SUM, "x-amz-checksum-type": "COMPOSITE", "ETag": f'"{MD5}-4"'},
            {"CRC32C": f"{SUM}-4"},
        ),
        ({"x-amz-checksum-crc32c": SUM, "x-amz-checksum-type": "COMPOSITE"}, {}),
        # Of parts, as the ETag says, and no word on the type.
        ({"x-amz-checksum-crc32c": SUM, "ETag": f'"{MD5}-4"'}, {"CRC32C": f"{SUM}-4"}),
        (
            {"x-amz-checksum-crc32c": SUM, "ETag": f'"{MD5}-4"', "x-amz-checksum-type": "FULL_OBJECT"},
            {"CRC32C": SUM},
        ),
        ({f"x-amz-checksum-{name.lower()}": value for name, value in WHOLE.items()}, WHOLE),
        ({"x-amz-checksum-crc32c": SUM, "Content-Range": "bytes 0-10239/10240"}, {}),
        ({"x-amz-checksum-crc32c": WHOLE["CRC64NVME"]}, {}),
        ({"x-amz-checksum-sha1": "=" * 28}, {}),
        ({"x-amz-checksum-sha1": "A" * 5000}, {}),
        ({"x-amz-checksum-crc32c": f"{SUM}-0"}, {}),
        ({"x-amz-checksum-crc32c": f"{SUM}-x"}, {}),
        ({"x-amz-checksum-sha512": "AAAA"}, {}),
    ],
)
def test_what_headers_tell(headers: dict[str, str], told: dict[str, str]) -> None:
    found = object_info("key", {"Content-Length": "10240", **headers})
    assert found.checksums == told
    whole = "CRC32C" in told and "-" not in told["CRC32C"]
    assert found.crc32c == (crt.crc32c(DATA) if whole else None)


@pytest.mark.parametrize(
    ("headers", "archived", "restoring"),
    [
        ({}, False, False),
        ({"x-amz-storage-class": "GLACIER"}, True, False),
        ({"x-amz-storage-class": "GLACIER_IR"}, False, False),
        ({"x-amz-storage-class": "DEEP_ARCHIVE", "x-amz-restore": 'ongoing-request="true"'}, True, True),
        (
            {
                "x-amz-storage-class": "GLACIER",
                "x-amz-restore": 'ongoing-request="false", expiry-date="Wed, 25 Nov 2026 03:03:01 GMT"',
            },
            False,
            False,
        ),
        (
            {"x-amz-storage-class": "INTELLIGENT_TIERING", "x-amz-archive-status": "ARCHIVE_ACCESS"},
            True,
            False,
        ),
    ],
)
def test_what_is_archived(headers: dict[str, str], archived: bool, restoring: bool) -> None:
    found = object_info("key", {"Content-Length": "1", **headers})
    assert (found.archived, found.restoring) == (archived, restoring)


@pytest.mark.parametrize(
    ("headers", "encrypted_by"),
    [
        ({}, ""),
        ({"x-amz-server-side-encryption": "AES256"}, "AES256"),
        ({"x-amz-server-side-encryption": "aws:kms:dsse"}, "aws:kms:dsse"),
        ({"x-amz-server-side-encryption-customer-algorithm": "AES256"}, "SSE-C"),
    ],
)
def test_what_it_is_encrypted_by(headers: dict[str, str], encrypted_by: str) -> None:
    assert object_info("key", {"Content-Length": "1", **headers}).encrypted_by == encrypted_by


@pytest.fixture(scope="module")
def moto() -> Iterator[S3Server]:
    with moto_s3() as server:
        yield server


async def test_what_boto3_put_is_checked_by_its_sum(moto: S3Server) -> None:
    client = boto3.client(
        "s3", endpoint_url=moto.endpoint_url, aws_access_key_id="a", aws_secret_access_key="b",
        region_name="us-east-1",
    )  # fmt: skip
    client.create_bucket(Bucket="bucket")
    for name in DIGESTS:
        client.put_object(Bucket="bucket", Key=name, Body=DATA, ChecksumAlgorithm=name)
    body = [b"a" * 5 * 1024 * 1024, b"b"]
    upload = client.create_multipart_upload(Bucket="bucket", Key="parts", ChecksumAlgorithm="SHA256")
    told = {"Bucket": "bucket", "Key": "parts", "UploadId": upload["UploadId"]}
    sent = [
        client.upload_part(**told, PartNumber=number, Body=piece, ChecksumAlgorithm="SHA256")
        for number, piece in enumerate(body, 1)
    ]
    listed = [
        {"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}
        for number, part in enumerate(sent, 1)
    ]
    client.complete_multipart_upload(**told, MultipartUpload={"Parts": listed})
    client.close()

    endpoint = resolve_endpoint("bucket", url=moto.endpoint_url)
    credentials = FixedCredentials(Credentials("a", "b"))
    store = S3Store(S3Connection(endpoint, credentials, HttpTransport(HttpOptions())))
    for name in DIGESTS:
        assert verified(ContentCheck(await store.head(name))) == name
    whole = b"".join(body)
    found = await store.head("parts")
    assert found.checksums["SHA256"].endswith("-2")
    assert verified(ContentCheck(found), whole) is None
    assert verified(ContentCheck(found, [len(piece) for piece in body]), whole) == "composite SHA256"
    first = await store.first_part_size("parts")
    assert verified(ContentCheck(found, first_part_bytes=first), whole) == "composite SHA256"
    await store.aclose()
