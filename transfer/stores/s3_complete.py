"""CompleteMultipartUpload: the list of parts in XML, with the sums that must come out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from transfer.stores.checksums import encode, value_of
from transfer.stores.contract import Capabilities, Checksums, Part
from transfer.stores.s3_connection import Request
from transfer.stores.s3_integrity import CRCS, complete_headers
from transfer.stores.xml import escape


def complete_request(
    key: str,
    upload_id: str,
    parts: Sequence[Part],
    *,
    checksums: Checksums,
    capabilities: Capabilities,
    headers: Mapping[str, str],
) -> Request:
    """The request that makes parts one object.

    Args:
        key: of the object.
        upload_id: of the upload.
        parts: ascending by number.
        checksums: of the whole object.
        capabilities: decide which sums are sent.
        headers: further ones.

    Raises:
        ValueError: no parts, or not in order.
    """
    numbers = [part.number for part in parts]
    if not numbers or any(after <= before for before, after in pairwise(numbers)):
        raise ValueError(f"an upload cannot be completed from the parts {numbers}")
    document = "".join(_lines(parts, capabilities)).encode()
    said = {"content-type": "application/xml", **complete_headers(capabilities, checksums, parts), **headers}
    return Request("POST", key, [("uploadId", upload_id)], said, [document])


def _lines(parts: Sequence[Part], capabilities: Capabilities) -> Iterator[str]:
    kind = capabilities.checksum
    yield '<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    for part in parts:
        yield f"<Part><PartNumber>{part.number}</PartNumber><ETag>&quot;{escape(part.etag)}&quot;</ETag>"
        if part.checksums and kind in CRCS:
            name = f"Checksum{kind.value}"
            yield f"<{name}>{encode(value_of(part.checksums, kind), kind)}</{name}>"
        yield "</Part>"
    yield "</CompleteMultipartUpload>"
