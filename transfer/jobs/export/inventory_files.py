"""The files of an S3 Inventory report: its manifest and data files, on a disk or in a bucket.

Data files are taken into a temporary folder first where they are in a bucket. Each is held against the
size and the MD5 of the manifest, all of them before the first row is given.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from transfer.core.s3_uri import is_s3_uri, parse_s3_uri
from transfer.errors import FormatError, UsageError
from transfer.formats.inventory import (
    MAX_MANIFEST_BYTES,
    DataFile,
    InventoryRow,
    Manifest,
    parse_manifest,
    read_rows,
)
from transfer.jobs.export.key_list import inflated, joined_lines
from transfer.stores.contract import Store

_GZIP_MAGIC = b"\x1f\x8b"
_BLOCK_BYTES = 1 << 20

OpenBucket = Callable[[str], Awaitable[Store]]


@dataclass(frozen=True)
class Report:
    """A report whose files are on this machine's disk.

    Attributes:
        files: with the data file of the manifest that each must be, if there is a manifest.
        columns: None without a manifest.
    """

    files: list[tuple[str, DataFile | None]]
    columns: tuple[str, ...] | None

    @property
    def has_versions(self) -> bool:
        """Whether it lists all versions of objects."""
        return self.columns is not None and "VersionId" in self.columns

    def rows(self, bucket: str) -> Iterator[InventoryRow]:
        """All rows. Blocking.

        Raises:
            UsageError: a file is not what the manifest says, no CSV, or of another bucket.
        """
        for name, expected in self.files:
            try:
                if expected is not None:
                    _check(name, expected)
                for row in _rows(name, self.columns):
                    _check_bucket(row, bucket)
                    yield row
            except OSError as error:
                raise UsageError(f"--inventory: cannot read {name}: {error.strerror}") from error
            except FormatError as error:
                what = expected.key if expected is not None else name
                raise UsageError(
                    f"--inventory {what}: {error.what}", remedy=error.remedy or "get the report anew"
                ) from None


async def get_report(place: str, folder: str, open_bucket: OpenBucket) -> Report:
    """A report, with its files where this process can read them.

    Args:
        place: manifest.json, or a data file (.csv, .csv.gz); a path or `s3://bucket/key`.
        folder: for files that come from a bucket.
        open_bucket: opens the bucket that they are in.

    Raises:
        UsageError: there is no such report.
        StoreError, AccessError: the bucket does not give it.
    """
    if not is_s3_uri(place):
        return await asyncio.to_thread(_local_report, place)
    address = parse_s3_uri(place)
    store = await open_bucket(address.bucket)
    try:
        first = os.path.join(folder, "0")
        await _get(store, address.prefix, first)
        if not address.prefix.endswith(".json"):
            return Report([(first, None)], None)
        manifest = _manifest(first, place)
        files: list[tuple[str, DataFile | None]] = []
        for number, file in enumerate(manifest.files, start=1):
            name = os.path.join(folder, str(number))
            await _get(store, file.key, name)
            files.append((name, file))
        return Report(files, manifest.columns)
    finally:
        await store.aclose()


def _local_report(place: str) -> Report:
    if not place.endswith(".json"):
        return Report([(place, None)], None)
    manifest = _manifest(place, place)
    return Report([(_beside(place, file), file) for file in manifest.files], manifest.columns)


def _manifest(name: str, place: str) -> Manifest:
    try:
        with open(os.fsencode(name), "rb") as file:
            return parse_manifest(file.read(MAX_MANIFEST_BYTES + 1))
    except OSError as error:
        raise UsageError(
            f"--inventory: cannot read {place}: {error.strerror}", remedy="name a readable file"
        ) from error
    except FormatError as error:
        raise UsageError(f"--inventory {place}: {error.what}", remedy=error.remedy) from None


def _beside(manifest: str, file: DataFile) -> str:
    """Where the data file is on the disk: as in the bucket, or next to the manifest."""
    folder, name = os.path.dirname(manifest), unquote(file.key).rpartition("/")[2]
    places = [os.path.join(folder, *way, name) for way in (("..", "data"), ("data",), ())]
    for place in places:
        if name not in {"", ".", ".."} and os.path.isfile(place):
            return place
    raise UsageError(
        f"--inventory: the data file {file.key!r} of {manifest} is not there",
        remedy="lay it beside the manifest, or into a folder data/ beside it",
    )


async def _get(store: Store, key: str, name: str) -> None:
    with open(name, "wb") as file:  # noqa: ASYNC230 - a temporary file, before anything else is under way
        async with store.get(key) as body:
            async for piece in body:
                file.write(piece)


def _check_bucket(row: InventoryRow, bucket: str) -> None:
    if row.bucket and row.bucket != bucket:
        raise FormatError(f"it is of the bucket {row.bucket!r}, not of {bucket!r}")


def _check(name: str, expected: DataFile) -> None:
    with open(os.fsencode(name), "rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        size = file.tell()
    if size != expected.size or digest != expected.md5:
        raise FormatError("it is not the file that the manifest means: size or MD5 differ")


def _rows(name: str, columns: tuple[str, ...] | None) -> Iterator[InventoryRow]:
    with open(os.fsencode(name), "rb") as file:
        pieces: Iterator[bytes] = iter(lambda: file.read(_BLOCK_BYTES), b"")
        if file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC:
            pieces = inflated(pieces)
        file.seek(0)
        lines = joined_lines(pieces)
        yield from read_rows(lines, columns) if columns else read_rows(lines)
