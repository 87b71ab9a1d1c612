"""Of the versions of each key, those that are wanted: all of them, or the one that was current at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from datetime import datetime

from transfer.core.versions import MAX_VERSIONS
from transfer.errors import StoreError
from transfer.stores.contract import ListedVersion

Versions = list[ListedVersion]
"""Of one key, newest first."""


async def by_key(listing: AsyncGenerator[ListedVersion]) -> AsyncGenerator[Versions]:
    """The versions of each key together, keys in the order of the listing.

    Raises:
        StoreError: a key has more versions than can be held.
    """
    versions: Versions = []
    async with aclosing(listing):
        async for item in listing:
            if versions and versions[0].key != item.key:
                yield versions
                versions = []
            versions.append(item)
            check_count(versions)
    if versions:
        yield versions


def all_of(versions: Sequence[ListedVersion]) -> Iterator[ListedVersion]:
    """All versions of one key, oldest first, as the device keeps them."""
    return reversed(versions)


def between(versions: Sequence[ListedVersion], first: str, last: str) -> Iterator[ListedVersion]:
    """Of one key, oldest first, what is behind the version `first`, up to `last` with it.

    Args:
        versions: newest first.
        first, last: ids. One that is empty, or not there any more, is no bound: better twice than not at all.
    """
    oldest_first = list(all_of(versions))
    ids = [version.version_id for version in oldest_first]
    begin = ids.index(first) + 1 if first in ids else 0
    end = ids.index(last) + 1 if last in ids else len(ids)
    return iter(oldest_first[begin:end])


def at_time(versions: Sequence[ListedVersion], moment: datetime) -> ListedVersion | None:
    """The version of one key that was current at a moment; None where there was none, or it was deleted."""
    for version in versions:
        if version.last_modified is not None and version.last_modified <= moment:
            return None if version.is_delete_marker else version
    return None


def check_count(versions: Sequence[ListedVersion]) -> None:
    """Refuse more versions of one key than can be held.

    Raises:
        StoreError: there are.
    """
    if len(versions) > MAX_VERSIONS:
        raise StoreError(
            f"{versions[0].key!r} has more than {MAX_VERSIONS:,} versions",
            remedy="leave it out with --exclude, or export without --versions all",
        )
