"""End-to-end checks of what a store took: which sum goes with a body, and whether the answer agrees with it.

A store that is known to check CRC64NVME or CRC32C is sent the CRC the bytes were first read with. Any other
gets an MD5: as Content-MD5 where it checks that, and in each case to compare with the ETag, which is the MD5
of a body stored in one piece without KMS or customer keys (S3 API, "Object": ETag).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from transfer.errors import ChecksumRejectedError
from transfer.stores.checksums import composite_crc32c, composite_etag, decode, encode, value_of
from transfer.stores.contract import Buffers, Capabilities, ChecksumKind, Checksums, Part
from transfer.stores.s3_connection import digest
from transfer.stores.xml import Element

CRCS = (ChecksumKind.CRC64NVME, ChecksumKind.CRC32C)
_MD5_ETAG = re.compile(r"[0-9a-f]{32}")
_REMEDY = "the bytes were damaged on their way or in the store: run the command again"


def header_of(kind: ChecksumKind) -> str:
    """The header that carries a CRC."""
    return f"x-amz-checksum-{kind.value.lower()}"


class BodyCheck(Struct, frozen=True):
    """The sums one body is sent with, and looked for in the answer.

    Attributes:
        headers: to send.
        md5: hex, where it was computed.
    """

    kind: ChecksumKind
    checksums: Checksums
    headers: Mapping[str, str]
    md5: str | None

    def verify(self, answer: Mapping[str, str], etag: str, doing: str) -> None:
        """Compare what the store says of the body with what was sent.

        Raises:
            ChecksumRejectedError: it has other bytes.
        """
        for kind in CRCS:
            echoed = decode(answer.get(header_of(kind)), kind)
            if echoed is not None and echoed != value_of(self.checksums, kind):
                raise _mismatch(doing, kind.value)
        if self.md5 and _etag_is_md5(answer, etag) and etag != self.md5:
            raise _mismatch(doing, "ETag")


async def check_body(body: Buffers, checksums: Checksums, kind: ChecksumKind) -> BodyCheck:
    """Prepare the check of one body, for a store that checks `kind`."""
    if kind in CRCS:
        return BodyCheck(kind, checksums, {header_of(kind): encode(value_of(checksums, kind), kind)}, None)
    md5 = await digest(body, "md5")
    headers = {"content-md5": base64.b64encode(md5).decode()} if kind is ChecksumKind.MD5 else {}
    return BodyCheck(kind, checksums, headers, md5.hex())


def upload_headers(capabilities: Capabilities) -> dict[str, str]:
    """What the beginning of an upload in parts must say about its sums."""
    if capabilities.checksum not in CRCS:
        return {}
    said = {"x-amz-checksum-algorithm": capabilities.checksum.value}
    return said | ({"x-amz-checksum-type": "FULL_OBJECT"} if capabilities.full_object else {})


def complete_headers(
    capabilities: Capabilities, checksums: Checksums, parts: Sequence[Part]
) -> dict[str, str]:
    """What the completion of an upload must say: the whole object's size and sum."""
    said = {"x-amz-mp-object-size": str(sum(part.size_bytes for part in parts))}
    kind = capabilities.checksum
    if kind in CRCS and capabilities.full_object:
        said[header_of(kind)] = encode(value_of(checksums, kind), kind)
        said["x-amz-checksum-type"] = "FULL_OBJECT"
    return said


def verify_completed(
    answer: Element, checksums: Checksums, parts: Sequence[Part], kind: ChecksumKind, doing: str
) -> None:
    """Compare what the store says of a completed object with what was sent.

    Raises:
        ChecksumRejectedError: it is another object.
    """
    for crc in CRCS:
        said = answer.value(f"Checksum{crc.value}")
        expected = composite_crc32c(parts) if "-" in said else encode(value_of(checksums, crc), crc)
        if said and expected and said != expected:
            raise _mismatch(doing, crc.value)
    etag, expected_etag = answer.value("ETag").strip('"'), composite_etag(parts)
    if kind not in CRCS and "-" in etag and expected_etag and etag != expected_etag:
        raise _mismatch(doing, "ETag")


def _etag_is_md5(answer: Mapping[str, str], etag: str) -> bool:
    encrypted = (
        answer.get("x-amz-server-side-encryption", "AES256") != "AES256"
        or "x-amz-server-side-encryption-customer-algorithm" in answer
    )
    return not encrypted and _MD5_ETAG.fullmatch(etag) is not None


def _mismatch(doing: str, sum_name: str) -> ChecksumRejectedError:
    return ChecksumRejectedError(
        f"{doing}: the store's {sum_name} is not that of the bytes sent", remedy=_REMEDY, code="BadDigest"
    )
