"""What the device has, beside what the bucket has: both are sorted, both go forward only."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

from transfer.core.merge import PathRecord
from transfer.core.records import Entry, Failed, File, Skipped
from transfer.core.versions import version_of
from transfer.jobs.export.facts import same_moment
from transfer.jobs.export.key_list import at_ease
from transfer.jobs.export.wanted import Wanted


@dataclass(slots=True)
class KnownKey:
    """What the device has of one path.

    Attributes:
        newest: its newest entry.
        versions: its versions, by their ids, where its history is kept.
        reason: why it failed or was skipped since; empty when it did not.
        elsewhere: what another device of the set has.
    """

    path: bytes = b""
    newest: Entry | None = None
    versions: dict[str, Entry] = field(default_factory=dict)
    reason: str = ""
    elsewhere: KnownKey | None = None

    def has(self, wanted: Wanted) -> bool:
        """Whether the device has what is wanted."""
        if wanted.history:
            return wanted.version_id in self.versions
        entry = self.newest
        if self.reason or not isinstance(entry, File) or entry.object is None:
            return False
        facts = entry.object
        if wanted.version_id and facts.version_id:
            return wanted.version_id == facts.version_id
        same = entry.size_bytes == wanted.size_bytes and facts.etag == wanted.etag
        return same and same_moment(facts.last_modified, wanted.last_modified)

    @property
    def is_file(self) -> bool | None:
        """Whether its name in the tar stream is a file's (else a folder's); None: it has no name there."""
        entries = [entry for entry in (self.newest, *self.versions.values()) if isinstance(entry, File)]
        if not entries:
            return None
        return any(entry.size_bytes or not self.path.endswith(b"/") for entry in entries)


class KnownKeys:
    """The merged view of a device, path by path.

    Args:
        records: of the device.
        elsewhere: of the set's other devices.
    """

    def __init__(self, records: Iterator[PathRecord], elsewhere: Iterator[PathRecord]) -> None:
        self._keys: AsyncGenerator[KnownKey] = at_ease(
            lambda: _beside(_grouped(records), _grouped(elsewhere))
        )
        self._head: KnownKey | None = None
        self._is_begun = False
        self._asked = KnownKey()

    async def before(self, path: bytes) -> AsyncGenerator[KnownKey]:
        """What sorts before `path` and was not asked for."""
        await self._begin()
        while self._head is not None and self._head.path < path:
            yield self._head
            self._head = await anext(self._keys, None)

    async def at(self, path: bytes) -> KnownKey:
        """What the device has of `path`; a second question in a row gets the same answer."""
        await self._begin()
        if self._asked.path != path:
            if self._head is None or self._head.path != path:
                return KnownKey(path)
            self._asked, self._head = self._head, await anext(self._keys, None)
        return self._asked

    async def _begin(self) -> None:
        if not self._is_begun:
            self._is_begun = True
            self._head = await anext(self._keys, None)

    async def aclose(self) -> None:
        """Read no further."""
        await self._keys.aclose()


def _grouped(records: Iterator[PathRecord]) -> Iterator[KnownKey]:
    for path, same in groupby(records, key=itemgetter(0)):
        known = KnownKey(path)
        for _, record in same:
            if isinstance(record, Failed | Skipped):
                known.reason = record.reason
                continue
            known.newest = record
            version = version_of(record)
            if version is not None:
                known.versions[version] = record
        yield known


def _beside(keys: Iterator[KnownKey], elsewhere: Iterator[KnownKey]) -> Iterator[KnownKey]:
    """All keys that one or the other has, in order."""
    other = next(elsewhere, None)
    for key in keys:
        while other is not None and other.path < key.path:
            yield KnownKey(other.path, elsewhere=other)
            other = next(elsewhere, None)
        if other is not None and other.path == key.path:
            key.elsewhere = other
            other = next(elsewhere, None)
        yield key
    while other is not None:
        yield KnownKey(other.path, elsewhere=other)
        other = next(elsewhere, None)
