"""What the bucket has of what is wanted, in the order of the device: from its listing, the listing of its
versions, a list of keys, or an inventory report.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

from transfer.core.object_selection import just_before
from transfer.core.versions import MAX_VERSIONS
from transfer.errors import TransferError, UsageError
from transfer.formats.inventory import InventoryRow
from transfer.jobs.export import key_list, versions
from transfer.jobs.export.options import ExportOptions
from transfer.jobs.export.ordered import in_order
from transfer.jobs.export.trouble import judge
from transfer.jobs.export.wanted import Wanted, from_info, from_listing, from_version, grouped
from transfer.jobs.filling.outcome import Problem
from transfer.stores.contract import ListedVersion, Store
from transfer.stores.sharded_listing import sharded_objects, sharded_versions

if TYPE_CHECKING:
    from transfer.jobs.export.inventory_files import Report


def _nobody(problem: Problem) -> None:
    """Is told."""


OUTSIDE = "it is in the list of keys, and not under the prefix that is exported"


class Finder:
    """Finds what is wanted between two paths.

    Args:
        store: of the bucket.
        options: of the command.
        report: the inventory report of the options.
        after: only what comes behind this path.
        until: the last path.
        after_version, until_version: the versions of the objects at these paths that bound what is wanted:
            what is behind the one, up to the other. Empty: all of them.
        inclusive: what is at `after` too.
        fresh: take no list's word for what an object is.
        note: told what was asked for and is outside of the prefix.
    """

    def __init__(
        self,
        store: Store,
        options: ExportOptions,
        report: Report | None,
        *,
        after: bytes,
        until: bytes | None,
        after_version: str = "",
        until_version: str = "",
        inclusive: bool,
        fresh: bool,
        note: Callable[[Problem], None] = _nobody,
    ) -> None:
        self._store = store
        self._options = options
        self._selection = options.selection
        self._report = report
        self._note = note
        self._after = after
        self._until = until
        self._after_version, self._until_version = after_version, until_version
        self._inclusive = inclusive
        self._fresh = fresh

    async def wanted(self) -> AsyncGenerator[Wanted]:
        """All that is wanted, by path, versions of a key oldest first.

        Raises:
            UsageError: a list or a report cannot be read.
            StoreError, AccessError: the bucket cannot be listed.
        """
        found = self._found()
        async with aclosing(found):
            async for item in found:
                if self._until is not None and item.path > self._until:
                    return
                if self._is_ahead(item.path):
                    yield item

    def _is_ahead(self, path: bytes) -> bool:
        """Whether a path is still to come; the empty one, of the object named as the prefix, comes first."""
        return path > self._after or (path == self._after and (self._inclusive or not path))

    def _found(self) -> AsyncGenerator[Wanted]:
        options = self._options
        wants_versions = options.history or options.as_of is not None
        if options.keys is not None:
            return self._of_key_list(options.keys, versions=wants_versions)
        if self._report is not None:
            return self._of_report(self._report)
        return self._of_versions() if wants_versions else self._of_listing()

    async def _of_listing(self) -> AsyncGenerator[Wanted]:
        listing = sharded_objects(
            self._store, self._selection.prefix, start_after=self._start_after(), end=self._end()
        )
        async with aclosing(listing):
            async for item in listing:
                if self._selection.takes(item.key, item.size_bytes):
                    yield from_listing(self._selection.path(item.key), item)

    async def _of_versions(self) -> AsyncGenerator[Wanted]:
        listing = sharded_versions(
            self._store, self._selection.prefix, start_after=self._start_after(), end=self._end()
        )
        groups = versions.by_key(listing)
        async with aclosing(groups):
            async for group in groups:
                for item in self._chosen(group):
                    yield item

    def _chosen(self, group: versions.Versions) -> list[Wanted]:
        """What is wanted of one key's versions."""
        selection, moment = self._selection, self._options.as_of
        if not selection.takes(group[0].key):
            return []
        path = selection.path(group[0].key)
        if moment is not None:
            version = versions.at_time(group, moment)
            taken = version is not None and selection.takes(version.key, version.size_bytes)
            return [from_version(path, version, history=False)] if version is not None and taken else []
        return grouped(
            [
                from_version(path, version, history=True)
                for version in self._between(path, group)
                if version.is_delete_marker or selection.takes(version.key, version.size_bytes)
            ]
        )

    def _between(self, path: bytes, group: versions.Versions) -> Iterator[ListedVersion]:
        """The versions of one key, oldest first, that other devices of the set do not have."""
        first = self._after_version if path == self._after else ""
        last = self._until_version if path == self._until else ""
        return versions.between(group, first, last)

    async def _of_key_list(self, name: str, *, versions: bool) -> AsyncGenerator[Wanted]:
        keys = key_list.at_ease(partial(key_list.keys_of, name, self._selection))
        ask = self._all_versions_of if versions else self._current_of
        answers = in_order(self._from_start(keys), ask, self._options.connections)
        async with aclosing(answers):
            async for items in answers:
                for item in items:
                    yield item

    async def _from_start(self, keys: AsyncGenerator[str]) -> AsyncIterator[str]:
        """Without those that would be asked about in vain."""
        async with aclosing(keys):
            async for key in keys:
                if not key.startswith(self._selection.prefix):
                    self._note(Problem(key.encode(), "failed", "outside", OUTSIDE))
                    continue
                path = self._selection.path(key)
                if self._until is not None and path > self._until:
                    return
                if self._is_ahead(path):
                    yield key

    async def _current_of(self, key: str) -> list[Wanted]:
        path = self._selection.path(key)
        try:
            info = await self._store.head(key)
        except TransferError as error:
            return [_missing(path, error)]
        return [from_info(path, info)] if self._selection.takes(key, info.size_bytes) else []

    async def _all_versions_of(self, key: str) -> list[Wanted]:
        listing = self._store.versions(key)
        group: list[ListedVersion] = []
        async with aclosing(listing):
            async for item in listing:
                if item.key != key or len(group) > MAX_VERSIONS:
                    break
                group.append(item)
        versions.check_count(group)
        if not group:
            return [Wanted(self._selection.path(key), reason="vanished", detail="there is no such object")]
        return self._chosen(group)

    async def _of_report(self, report: Report) -> AsyncGenerator[Wanted]:
        bucket, wants_versions = self._options.address.bucket, self._options.history or self._options.as_of
        if wants_versions and not report.has_versions:
            raise UsageError(
                "the inventory report does not list versions",
                remedy="configure it to list all versions, or export without --versions all and --as-of",
            )
        rows = key_list.at_ease(lambda: key_list.in_order(report.rows(bucket), self._selection))
        if not wants_versions:
            answers = in_order(_of_current(rows), self._of_row, self._options.connections)
            async with aclosing(answers):
                async for items in answers:
                    for item in items:
                        yield item
            return
        groups = versions.by_key(_listed(rows))
        async with aclosing(groups):
            async for group in groups:
                for item in self._chosen(group):
                    yield item

    async def _of_row(self, row: InventoryRow) -> list[Wanted]:
        """A row, or the object itself where the row does not tell its size and state."""
        if row.size_bytes is None or not row.etag or self._fresh:
            return await self._current_of(row.key)
        if not self._selection.takes(row.key, row.size_bytes):
            return []
        return [from_version(self._selection.path(row.key), _version(row), history=False, pinned=False)]

    def _start_after(self) -> str:
        """Where a listing begins: behind all that is not wanted, or a little before."""
        start = self._selection.start_after
        if self._after:
            resumed = self._selection.key(self._after)
            start = max(start, just_before(resumed) if self._inclusive else resumed, key=str.encode)
        return start

    def _end(self) -> str | None:
        """The last key of a listing."""
        ends = [self._selection.end] if self._selection.end else []
        if self._until is not None:
            ends.append(self._selection.key(self._until))
        return min(ends, key=str.encode) if ends else None


def _missing(path: bytes, error: TransferError) -> Wanted:
    """A key that was asked for and cannot be looked at."""
    trouble = judge(error)
    if trouble is None:
        raise error
    return Wanted(path, reason=trouble.reason, detail=trouble.detail)


async def _of_current(rows: AsyncGenerator[InventoryRow]) -> AsyncIterator[InventoryRow]:
    """The rows of what was current."""
    async with aclosing(rows):
        async for row in rows:
            if row.is_latest and not row.is_delete_marker:
                yield row


async def _listed(rows: AsyncGenerator[InventoryRow]) -> AsyncGenerator[ListedVersion]:
    async with aclosing(rows):
        async for row in rows:
            yield _version(row)


def _version(row: InventoryRow) -> ListedVersion:
    return ListedVersion(
        key=row.key,
        version_id=row.version_id,
        is_latest=row.is_latest,
        is_delete_marker=row.is_delete_marker,
        size_bytes=row.size_bytes or 0,
        etag=row.etag,
        last_modified=row.last_modified,
        storage_class=row.storage_class or None,
    )
