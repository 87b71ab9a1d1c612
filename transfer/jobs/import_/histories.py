"""The versions of each key that a device has, asked for in the order of its paths.

A key's versions stand in the order in which they were made, one behind the other; over several runs of the
device they lie apart: a run that brings an older one afterwards (it was archived, or could not be read) puts
it behind newer ones. So that they can be written in order, the device is gone over several times where that
is so: each version has the number of the pass in which it is its turn.

All versions of one key are held in memory at once (`core.versions.MAX_VERSIONS` in each run), and no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise
from operator import itemgetter

from msgspec import Struct

from transfer.core.merge import Spot, SpottedRecord
from transfer.core.open_file import hex_number
from transfer.core.records import DeleteMarker, File
from transfer.core.versions import version_of
from transfer.device.manifest import Manifest
from transfer.jobs.import_.arrival import merged
from transfer.stores.contract import Checksums

MAX_PASSES = 16
"""Over a device; a version that would need more of them is refused."""


class Version(Struct, frozen=True):
    """One version of a key.

    Attributes:
        version_id: where it was exported.
        run: that brought it.
        spot: of its record; of a large object's last one.
        in_pass: over the device, from 1.
        is_marker: a delete marker; all that follows is of others.
    """

    version_id: str
    run: int
    spot: Spot
    in_pass: int = 1
    is_marker: bool = True
    size_bytes: int = 0
    blake3: str = ""
    checksums: Checksums = Checksums(0, 0)


class History:
    """The versions of one key, oldest first."""

    def __init__(self, versions: list[Version]) -> None:
        self.versions = versions
        self._places = {version.version_id: place for place, version in enumerate(versions)}

    def place(self, version_id: str | None, run: int) -> int | None:
        """The place of a version that a run brought; None where a later run brought it anew."""
        place = self._places.get(version_id) if version_id is not None else None
        return place if place is not None and self.versions[place].run == run else None


_NONE = History([])


class Histories:
    """The histories on one device.

    Args:
        manifest: of the device.

    Attributes:
        passes: how many are needed for what was asked for so far.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.passes = 1
        self._manifest = manifest
        self._runs = {header.sequence: header.run for header in manifest.headers}
        self._groups: Iterator[tuple[bytes, Iterator[SpottedRecord]]] | None = None
        self._path = b""
        self._history = _NONE

    def start_run(self) -> None:
        """Paths come from the first one again."""
        self._groups, self._path, self._history = None, b"", _NONE

    def of(self, path: bytes) -> History:
        """The history of a key; it is empty where the newest entry on the device is no version.

        Args:
            path: of a record that is a version; not before the one that was asked for last.
        """
        if path == self._path:
            return self._history
        if self._groups is None:  # only now: most devices have none
            self._groups = groupby(merged(self._manifest, path[:-1]), key=itemgetter(0))
        self._path, self._history = path, _NONE
        for found, records in self._groups:
            if found == path:
                self._history = History(self._told(records))
            if found >= path:
                break
        return self._history

    def _told(self, records: Iterator[SpottedRecord]) -> list[Version]:
        found = [
            (version, record, spot)
            for _, record, spot in records
            if (version := version_of(record)) is not None and isinstance(record, File | DeleteMarker)
        ]
        numbers = _passes([spot for _, _, spot in found])
        self.passes = max(self.passes, *numbers[-1:], 1)
        return [
            _version(version, record, self._runs[spot[0]], spot, number)
            for (version, record, spot), number in zip(found, numbers, strict=True)
        ]


def _passes(spots: list[Spot]) -> list[int]:
    """In which pass over the device each of these places comes by, when they are to come in this order."""
    numbers = [1][: len(spots)]
    for before, spot in pairwise(spots):
        numbers.append(numbers[-1] + (spot < before))
    return numbers


def _version(version_id: str, record: File | DeleteMarker, run: int, spot: Spot, number: int) -> Version:
    if isinstance(record, DeleteMarker):
        return Version(version_id, run, spot, number)
    sums = Checksums(hex_number(record.crc64nvme), hex_number(record.crc32c))
    return Version(
        version_id,
        run,
        spot,
        number,
        is_marker=False,
        size_bytes=record.size_bytes,
        blake3=record.blake3,
        checksums=sums,
    )
