"""An inventory as Amazon S3 Inventory writes one: rows of CSV, and the manifest that names their files.

Every field is quoted, there is no heading, and keys are URL-encoded, so that a row is a line. The last three
columns are not Amazon's: the sums of the device's manifest, in hex. `formats.inventory` reads such reports.
"""

from __future__ import annotations

import csv
from io import StringIO
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

SCHEMA: Final = (
    "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass, "
    "BLAKE3, CRC64NVME, CRC32C"
)
_VERSION: Final = "2016-11-30"


class ReportRow(Struct, frozen=True, kw_only=True):
    """One object, version or delete marker; what is empty or None is not told.

    Attributes:
        last_modified: ISO 8601 in UTC.
        blake3, crc64nvme, crc32c: of the content, hex digits.
    """

    key: str
    size_bytes: int | None = None
    version_id: str = ""
    is_latest: bool = True
    is_delete_marker: bool = False
    last_modified: str = ""
    etag: str = ""
    storage_class: str = ""
    blake3: str = ""
    crc64nvme: str = ""
    crc32c: str = ""


class ReportFile(Struct, frozen=True):
    """A data file: its place beside the manifest, its size, and the MD5 that the format demands."""

    key: str
    size: int
    md5: str = msgspec.field(name="MD5checksum")


class _Manifest(Struct, frozen=True):
    source_bucket: str = msgspec.field(name="sourceBucket")
    destination_bucket: str = msgspec.field(name="destinationBucket")
    version: str
    creation_timestamp: str = msgspec.field(name="creationTimestamp")
    file_format: str = msgspec.field(name="fileFormat")
    file_schema: str = msgspec.field(name="fileSchema")
    files: list[ReportFile]


class RowEncoder:
    """Rows of one bucket as lines.

    Args:
        bucket: its name.
    """

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._text = StringIO()
        self._writer = csv.writer(self._text, quoting=csv.QUOTE_ALL, lineterminator="\n")

    def encode(self, row: ReportRow) -> bytes:
        """One row, its end included."""
        self._writer.writerow(
            (
                self._bucket,
                quote(row.key),
                row.version_id,
                "true" if row.is_latest else "false",
                "true" if row.is_delete_marker else "false",
                "" if row.size_bytes is None else row.size_bytes,
                row.last_modified,
                row.etag,
                row.storage_class,
                row.blake3,
                row.crc64nvme,
                row.crc32c,
            )
        )
        line = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return line.encode()


def encode_report(bucket: str, created_ms: int, files: list[ReportFile]) -> bytes:
    """The manifest of a report.

    Args:
        bucket: that the rows are of.
        created_ms: milliseconds since the epoch.
        files: with the rows.
    """
    manifest = _Manifest(bucket, "", _VERSION, str(created_ms), "CSV", SCHEMA, files)
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
