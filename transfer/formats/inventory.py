"""S3 Inventory reports in CSV: the manifest, and rows of the data files (version 2016-11-30 of the format).

A data file has no heading; the manifest's `fileSchema` names the columns. Keys are URL-encoded, so that a row
is a line. Where there is no manifest the first two columns are the bucket and the key, and nothing is known
of the others. Does not: open, decompress or hash files.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import unquote_plus

import msgspec
from msgspec import Meta, Struct

from transfer.errors import FormatError

MAX_MANIFEST_BYTES = 64 << 20
MAX_ROW_BYTES = 64 << 10
_DEFAULT_COLUMNS = ("Bucket", "Key")
_MD5 = re.compile("[0-9a-f]{32}", re.ASCII)


class DataFile(Struct, frozen=True):
    """One data file of a report, in the bucket that the manifest lies in.

    Attributes:
        md5: of the file as it is stored, 32 lower-case hex digits.
    """

    key: Annotated[str, Meta(min_length=1, max_length=1024)]
    size: Annotated[int, Meta(ge=0)]
    md5: str = msgspec.field(name="MD5checksum")


class Manifest(Struct, frozen=True):
    """What manifest.json says of a report."""

    files: list[DataFile]
    source_bucket: str = msgspec.field(name="sourceBucket")
    file_format: str = msgspec.field(name="fileFormat")
    file_schema: str = msgspec.field(name="fileSchema")

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(name.strip() for name in self.file_schema.split(","))


class InventoryRow(Struct, frozen=True):
    """One object, version or delete marker. None and empty texts: the report does not tell it."""

    bucket: str
    key: str
    version_id: str = ""
    is_latest: bool = True
    is_delete_marker: bool = False
    size_bytes: int | None = None
    last_modified: datetime | None = None
    etag: str = ""
    storage_class: str = ""


def parse_manifest(document: bytes) -> Manifest:
    """The manifest of a report.

    Raises:
        FormatError: it is none, or of a report that is not CSV.
    """
    if len(document) > MAX_MANIFEST_BYTES:
        raise FormatError(f"the manifest is larger than {MAX_MANIFEST_BYTES} bytes")
    try:
        manifest = msgspec.json.decode(document, type=Manifest)
    except msgspec.MsgspecError as error:
        raise FormatError(f"it is no manifest of an S3 Inventory report: {error}") from None
    if manifest.file_format.upper() != "CSV":
        raise FormatError(
            f"its report is in {manifest.file_format[:20]!r}, and only CSV can be read",
            remedy="configure the inventory to be written as CSV",
        )
    if "Key" not in manifest.columns or len(set(manifest.columns)) != len(manifest.columns):
        raise FormatError("its columns are not those of an S3 Inventory report")
    if wrong := next((file.key for file in manifest.files if not _MD5.fullmatch(file.md5)), None):
        raise FormatError(f"the MD5 of {wrong!r} is none")
    return manifest


def read_rows(lines: Iterable[bytes], columns: Sequence[str] = _DEFAULT_COLUMNS) -> Iterator[InventoryRow]:
    """The rows of a data file.

    Args:
        lines: as they stand, at most `MAX_ROW_BYTES` each.
        columns: their names; without a manifest there may be more in the file.

    Raises:
        FormatError: naming the line that is no row.
    """
    places = {name: number for number, name in enumerate(columns)}
    reader = csv.reader(_texts(lines), strict=True)
    try:
        for fields in reader:
            if fields:
                yield _row(fields, places)
    except (csv.Error, ValueError) as error:
        raise FormatError(f"line {reader.line_num} is no row: {error}") from None


def _texts(lines: Iterable[bytes]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if len(line) > MAX_ROW_BYTES:
            raise FormatError(f"line {number} is no row: it is longer than {MAX_ROW_BYTES} bytes")
        try:
            yield line.decode()
        except UnicodeDecodeError:
            raise FormatError(f"line {number} is no row: it is not UTF-8") from None


def _row(fields: Sequence[str], places: dict[str, int]) -> InventoryRow:
    if len(fields) < len(places):
        raise ValueError(f"it has {len(fields)} columns, not {len(places)}")

    def told(name: str) -> str:
        place = places.get(name)
        return fields[place] if place is not None else ""

    key = unquote_plus(told("Key"), errors="strict")
    if not 1 <= len(key.encode()) <= 1024:
        raise ValueError("its key is empty or too long")
    size, modified = told("Size"), told("LastModifiedDate")
    return InventoryRow(
        bucket=told("Bucket"),
        key=key,
        version_id=told("VersionId"),
        is_latest=_truth(told("IsLatest"), default=True),
        is_delete_marker=_truth(told("IsDeleteMarker"), default=False),
        size_bytes=_number(size) if size else None,
        last_modified=_moment(modified) if modified else None,
        etag=told("ETag").strip('"'),
        storage_class=told("StorageClass"),
    )


def _truth(text: str, *, default: bool) -> bool:
    if text.lower() not in {"", "true", "false"}:
        raise ValueError(f"{text[:20]!r} is neither true nor false")
    return text.lower() == "true" if text else default


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError(f"{text[:20]!r} is no size")
    return int(text)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
