"""How far a bucket has come with the versions of a key that a device has.

The bucket's newest version of the key is looked for among those of the device. What the device has behind it
is still to be written; what it has before it is there, or came too late: a version cannot be put under a
newer one. A version may be in the bucket twice, one behind the other, where the answer to a request was lost.

Where the newest version in the bucket is like several of the device's, that one counts before which nothing
is missing, and else the one that the ledger says was written last. A delete marker is like any other: without
the ledger's word it counts only if something else beside it is found as well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from transfer.jobs.import_.histories import Version
from transfer.stores.contract import ListedVersion

IsSame = Callable[[ListedVersion, Version], Awaitable[bool]]


class Alignment(Struct, frozen=True):
    """Where the bucket stands.

    Attributes:
        found: for each of the device's versions, up to the bucket's newest one, what the bucket has of it.
            What comes behind these is to be written.
    """

    found: list[ListedVersion | None]


async def align(
    there: Sequence[ListedVersion], ours: Sequence[Version], is_same: IsSame, *, written: int = -1
) -> Alignment | None:
    """Hold a bucket's versions of a key against a device's, both oldest first.

    Args:
        there: the bucket's; one at least.
        ours: the device's.
        is_same: tells whether two have the same content.
        written: the place of the newest of ours that is known to have been written; -1: none.

    Returns:
        None where the bucket's newest version is none of the device's.
    """
    second_best: Alignment | None = None
    for newest in reversed(range(len(ours))):
        if not await is_same(there[-1], ours[newest]):
            continue
        found = await _back_from(newest, there, ours, is_same)
        if None not in found or newest == written:
            return Alignment(found)
        if second_best is None and any(one is not None and not one.is_delete_marker for one in found):
            second_best = Alignment(found)
    return second_best


async def _back_from(
    newest: int, there: Sequence[ListedVersion], ours: Sequence[Version], is_same: IsSame
) -> list[ListedVersion | None]:
    """Which of our versions up to `newest` the bucket has, going back in time."""
    found: list[ListedVersion | None] = [None] * newest + [there[-1]]
    at, met = len(there) - 1, newest
    wanted = newest - 1
    while wanted >= 0 and at > 0:
        if await is_same(there[at - 1], ours[wanted]):
            at, met = at - 1, wanted
            found[wanted] = there[at]
            wanted -= 1
        elif await is_same(there[at - 1], ours[met]):
            at -= 1  # written twice
        else:
            wanted -= 1  # missing in the bucket
    return found
