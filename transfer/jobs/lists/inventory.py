"""An inventory report of a device: `manifest.json`, `manifest.checksum`, `data/00000000.csv.gz` in a folder.

The manifest comes last: where it is, all of the report is. Its rows are the objects that an import makes of
the device; every version of a key is one.
"""

from __future__ import annotations

import hashlib
import os
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from transfer.core.object_keys import folder_prefix, object_key
from transfer.core.records import Header, ObjectFacts
from transfer.core.s3_uri import S3Uri, is_s3_uri, parse_s3_uri
from transfer.errors import UsageError
from transfer.formats.inventory_report import ReportFile, ReportRow, RowEncoder, encode_report
from transfer.jobs.lists.files import LOST
from transfer.jobs.lists.options import Listed, ListOptions
from transfer.jobs.lists.output import NewFile, disk_errors
from transfer.jobs.lists.view import Item

DATA_NAME: Final = "data/00000000.csv.gz"
MANIFEST_NAME: Final = "manifest.json"
CHECKSUM_NAME: Final = "manifest.checksum"
_GZIP: Final = 31  # zlib's word for its format
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def address_of(headers: list[Header], options: ListOptions) -> S3Uri:
    """The bucket that the rows are of, and the prefix of its keys.

    Raises:
        UsageError: nobody says.
    """
    if options.address is not None:
        return options.address
    sources = {header.source for header in headers}
    if len(sources) == 1 and all(header.keys and is_s3_uri(header.source) for header in headers):
        return parse_s3_uri(sources.pop())
    what = "an inventory is of one bucket, and the device was not exported from one"
    raise UsageError(what, remedy="say --bucket s3://BUCKET/PREFIX: where it is, or will be, imported")


def write_inventory(
    folder: str, items: Iterator[Item], listed: Listed, address: S3Uri, *, overwrite: bool
) -> None:
    """Write a report.

    Args:
        folder: that it goes to; it need not be there.
        items: by path.
        listed: counts.
        address: of the objects.
        overwrite: it may replace another report.

    Raises:
        UsageError: there is a report already, and it is not to be overwritten.
        TransferError: the disk refused.
    """
    with disk_errors(folder):
        os.makedirs(os.path.join(folder, os.path.dirname(DATA_NAME)), exist_ok=True)
    manifest_path = os.path.join(folder, MANIFEST_NAME)
    with NewFile(manifest_path, overwrite=overwrite) as manifest:
        file = _write_data(
            folder, _rows(items, listed, folder_prefix(address.prefix)), address.bucket, overwrite=overwrite
        )
        document = encode_report(address.bucket, time.time_ns() // 1_000_000, [file])
        with NewFile(os.path.join(folder, CHECKSUM_NAME), overwrite=overwrite) as checksum:
            checksum.write(_md5(document).encode())
            checksum.finish()
        manifest.write(document)
        manifest.finish()


def _write_data(folder: str, rows: Iterator[ReportRow], bucket: str, *, overwrite: bool) -> ReportFile:
    encoder = RowEncoder(bucket)
    deflater = zlib.compressobj(wbits=_GZIP)
    digest = hashlib.md5(usedforsecurity=False)
    with NewFile(os.path.join(folder, DATA_NAME), overwrite=overwrite) as data:

        def put(stored: bytes) -> None:
            digest.update(stored)
            data.write(stored)

        for row in rows:
            put(deflater.compress(encoder.encode(row)))
        put(deflater.flush())
        data.finish()
        return ReportFile(DATA_NAME, data.size_bytes, digest.hexdigest())


def _rows(items: Iterator[Item], listed: Listed, prefix: str) -> Iterator[ReportRow]:
    for item in items:
        key, problem = _key(item, prefix)
        row = _row(item, key)
        if problem or row is None:
            listed.leave_out(item.path, problem or LOST)
            continue
        listed.lines += 1
        listed.content_bytes += row.size_bytes or 0
        yield row


def _key(item: Item, prefix: str) -> tuple[str, str]:
    """The key of an entry, and why it has no row; what was an object has been a key before."""
    of_object = item.facts or item.marker
    if of_object is None:
        return object_key(prefix, item.path)
    problem = "" if of_object.version_id.isprintable() else "its version id does not fit into a line"
    return prefix + item.path.decode(), problem


def _row(item: Item, key: str) -> ReportRow | None:
    if item.marker is not None:
        return ReportRow(
            key=key,
            version_id=item.marker.version_id,
            is_latest=item.is_latest,
            is_delete_marker=True,
            last_modified=item.marker.last_modified,
        )
    if item.content is None:
        return None
    facts = item.facts or ObjectFacts()
    return ReportRow(
        key=key,
        size_bytes=item.content.size_bytes,
        version_id=facts.version_id if facts.history else "",
        is_latest=item.is_latest,
        last_modified=facts.last_modified or _moment(item.mtime_ns),
        etag=_in_a_line(facts.etag),
        storage_class=_in_a_line(facts.storage_class),
        blake3=item.content.blake3,
        crc64nvme=item.content.crc64nvme,
        crc32c=item.content.crc32c,
    )


def _moment(mtime_ns: int) -> str:
    try:
        moment = _EPOCH + timedelta(microseconds=mtime_ns // 1000)
    except OverflowError:
        return ""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _in_a_line(text: str) -> str:
    return text if text.isprintable() else ""


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
