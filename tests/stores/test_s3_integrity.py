"""A store that answers with other sums than ours holds other bytes, whatever its status says."""

from __future__ import annotations

import base64
import hashlib

import pytest

from transfer.errors import ChecksumRejectedError
from transfer.stores.checksums import checksums_of, combine, composite_crc32c, composite_etag, encode
from transfer.stores.contract import Capabilities, ChecksumKind, Checksums, Part
from transfer.stores.s3_integrity import check_body, complete_headers, upload_headers, verify_completed
from transfer.stores.xml import Element

BODY = [b"some ", memoryview(b"bytes")]
SUMS = checksums_of(BODY)
MD5 = hashlib.md5(b"some bytes").hexdigest()
PARTS = [
    Part(number, len(piece), hashlib.md5(piece).hexdigest(), checksums_of([piece]))
    for number, piece in enumerate((b"first", b"second"), 1)
]
WHOLE = combine((part.checksums or Checksums(0, 0), part.size_bytes) for part in PARTS)
CRC64, CRC32C = ChecksumKind.CRC64NVME, ChecksumKind.CRC32C


async def test_what_is_sent_with_a_body() -> None:
    sent = {kind: dict((await check_body(BODY, SUMS, kind)).headers) for kind in ChecksumKind}
    assert sent == {
        CRC64: {"x-amz-checksum-crc64nvme": encode(SUMS.crc64nvme, CRC64)},
        CRC32C: {"x-amz-checksum-crc32c": encode(SUMS.crc32c, CRC32C)},
        ChecksumKind.MD5: {"content-md5": base64.b64encode(bytes.fromhex(MD5)).decode()},
        ChecksumKind.NONE: {},
    }


@pytest.mark.parametrize("kind", ChecksumKind)
async def test_an_answer_that_agrees(kind: ChecksumKind) -> None:
    check = await check_body(BODY, SUMS, kind)
    check.verify({"x-amz-checksum-crc64nvme": encode(SUMS.crc64nvme, CRC64)}, MD5, "PUT")
    check.verify({}, MD5, "PUT")
    check.verify({}, "", "PUT")
    check.verify({"x-amz-server-side-encryption": "aws:kms"}, "0" * 32, "PUT")
    check.verify({"x-amz-server-side-encryption-customer-algorithm": "AES256"}, "0" * 32, "PUT")


@pytest.mark.parametrize("kind", ChecksumKind)
@pytest.mark.parametrize("crc", [CRC64, CRC32C])
async def test_an_echo_of_other_bytes(kind: ChecksumKind, crc: ChecksumKind) -> None:
    check = await check_body(BODY, SUMS, kind)
    with pytest.raises(ChecksumRejectedError, match=crc.value):
        check.verify({f"x-amz-checksum-{crc.value.lower()}": encode(7, crc)}, MD5, "PUT s3://b/k")


@pytest.mark.parametrize("kind", [ChecksumKind.MD5, ChecksumKind.NONE])
async def test_the_etag_of_other_bytes(kind: ChecksumKind) -> None:
    check = await check_body(BODY, SUMS, kind)
    with pytest.raises(ChecksumRejectedError, match="ETag"):
        check.verify({"x-amz-server-side-encryption": "AES256"}, "0" * 32, "PUT s3://b/k")


def completed(**values: str) -> Element:
    return Element("CompleteMultipartUploadResult", children=[Element(k, v) for k, v in values.items()])


@pytest.mark.parametrize(
    "answer",
    [
        completed(ETag='"opaque"'),
        completed(ETag=f'"{composite_etag(PARTS)}"'),
        completed(ChecksumCRC64NVME=encode(WHOLE.crc64nvme, CRC64)),
        completed(ChecksumCRC32C=encode(WHOLE.crc32c, CRC32C)),
        completed(ChecksumCRC32C=composite_crc32c(PARTS) or ""),
    ],
)
@pytest.mark.parametrize("kind", ChecksumKind)
def test_a_completion_that_agrees(answer: Element, kind: ChecksumKind) -> None:
    verify_completed(answer, WHOLE, PARTS, kind, "POST")


@pytest.mark.parametrize(
    "answer",
    [
        completed(ChecksumCRC64NVME=encode(7, CRC64)),
        completed(ChecksumCRC32C=encode(7, CRC32C)),
        completed(ChecksumCRC32C=encode(7, CRC32C) + "-2"),
        completed(ETag='"00000000000000000000000000000000-2"'),
    ],
)
def test_a_completion_of_other_bytes(answer: Element) -> None:
    with pytest.raises(ChecksumRejectedError, match=r"s3://b/k.*not that of the bytes sent"):
        verify_completed(answer, WHOLE, PARTS, ChecksumKind.NONE, "POST s3://b/k")


def test_what_an_upload_says_of_its_sums() -> None:
    full = Capabilities(CRC64, full_object=True, if_none_match=None)
    composite = Capabilities(CRC32C, full_object=False, if_none_match=None)
    none = Capabilities(ChecksumKind.MD5, full_object=False, if_none_match=None)
    assert upload_headers(full) == {
        "x-amz-checksum-algorithm": "CRC64NVME",
        "x-amz-checksum-type": "FULL_OBJECT",
    }
    assert upload_headers(composite) == {"x-amz-checksum-algorithm": "CRC32C"}
    assert upload_headers(none) == {}
    assert complete_headers(full, WHOLE, PARTS) == {
        "x-amz-mp-object-size": "11",
        "x-amz-checksum-crc64nvme": encode(WHOLE.crc64nvme, CRC64),
        "x-amz-checksum-type": "FULL_OBJECT",
    }
    assert complete_headers(composite, WHOLE, PARTS) == {"x-amz-mp-object-size": "11"}
