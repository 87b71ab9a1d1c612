"""Whether an entry is to be sent, where the bucket may have an object of its key. `--if-exists` decides.

    same       (default) an object of the same size and checksum counts as sent; another one is left, and the
               entry fails
    skip       whatever is there is left, and the entry is listed as skipped
    overwrite  whatever is there is replaced
    fail       whatever is there is left, and the entry fails

What this import has put there itself is none of that: it is known by the ledger, which tells the ETag that
the store gave, and by the checksum where the process ended before the ledger heard of it. What the ledger
says was sent and the bucket has no more is sent again.

Two questions, as a listing tells less than a HEAD but costs less: `judge` by the listing, before the content
is read; `compare` where that leaves it open.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import Enum

from msgspec import Struct

from transfer.core.merge import Spot
from transfer.errors import NotFoundError
from transfer.jobs.import_.existing import Existing
from transfer.jobs.import_.health import EndpointHealth
from transfer.jobs.import_.journal import Journal
from transfer.jobs.import_.options import IfExists
from transfer.ledger.values import ObjectEntry, ObjectState
from transfer.stores.checksums import composite_etag
from transfer.stores.contract import Checksums, ListedObject, ListedVersion, ObjectInfo, Part, Store

_THERE = "the bucket has an object of this key already"
_REMEDY = "--if-exists overwrite replaces it, skip leaves it"
_MD5_LENGTH = 32


class Verdict(Enum):
    """What becomes of an entry."""

    SEND = "send"
    DONE = "done"  # it is in the bucket
    COMPARE = "compare"  # there is an object: see whether it is this one
    SKIP = "skip"
    REFUSE = "refuse"


class Judgement(Struct, frozen=True):
    """A verdict with its reason.

    Attributes:
        etag: of the object that is there, for `DONE`.
        reason: for `SKIP` and `REFUSE`.
        recorded: what the ledger has of it as done.
        version_id: of the version that is there, where the ledger does not know it.
    """

    verdict: Verdict
    etag: str = ""
    reason: str = ""
    recorded: ObjectEntry | None = None
    version_id: str = ""


SEND = Judgement(Verdict.SEND)


class Arbiter:
    """Decides for one pass over a device.

    Args:
        store: the bucket.
        health: watches the calls.
        journal: what earlier attempts did.
        policy: of `--if-exists`.
        prefix: of all keys.
    """

    def __init__(
        self, store: Store, health: EndpointHealth, journal: Journal, policy: IfExists, prefix: str
    ) -> None:
        self._store = store
        self._health = health
        self._journal = journal
        self._policy = policy
        self._prefix = prefix
        self._existing = Existing(store, prefix, health)

    async def start_pass(self) -> None:
        """Keys come from the first one again."""
        await self._existing.aclose()
        self._existing = Existing(self._store, self._prefix, self._health)
        self._journal.forget_recalls()

    async def aclose(self) -> None:
        """Let go of the listing."""
        await self._existing.aclose()

    async def judge(self, key: str, size_bytes: int, spot: Spot) -> Judgement:
        """What becomes of an entry, as far as listing and ledger tell.

        Raises:
            TransferError: the store or the ledger does not answer.
        """
        recorded = await self._journal.recall(spot)
        if recorded is not None and (recorded.state is not ObjectState.DONE or recorded.key != key):
            recorded = None  # with another filter, a link's key may have stood in for this one
        if self._policy is IfExists.OVERWRITE and recorded is None:
            return SEND
        listed = await self._existing.find(key)
        if listed is None:
            # Where nobody lets us look, the ledger's word is all there is.
            if recorded is None or self._existing.knows_absence:
                return SEND
            return Judgement(Verdict.DONE, recorded.etag, recorded=recorded)
        if recorded is not None:
            return self._judge_recorded(recorded, listed, size_bytes)
        return self._judge_found(listed)

    def _judge_recorded(self, recorded: ObjectEntry, listed: ListedObject, size_bytes: int) -> Judgement:
        if (listed.size_bytes, listed.etag) == (size_bytes, recorded.etag):
            return Judgement(Verdict.DONE, recorded.etag, recorded=recorded)
        if self._policy is IfExists.OVERWRITE and listed.size_bytes != size_bytes:
            return SEND
        return Judgement(Verdict.COMPARE, recorded=recorded)

    def _judge_found(self, listed: ListedObject) -> Judgement:
        if self._policy is IfExists.SAME or not self._journal.is_fresh:
            # It may be ours, of a moment before an earlier attempt broke off.
            return Judgement(Verdict.COMPARE)
        return leave(self._policy, listed)

    async def compare(
        self,
        key: str,
        size_bytes: int,
        checksums: Checksums,
        *,
        body: bytes | memoryview | None = None,
        recorded: ObjectEntry | None = None,
        raced: bool = False,
    ) -> Judgement:
        """What becomes of an entry whose key has an object.

        Args:
            key: of the entry.
            size_bytes: of the entry.
            checksums: of the entry.
            body: its content, where it is at hand.
            recorded: what the ledger has of it as done.
            raced: it was not there a moment ago: where it is the same, our own request put it there, and its
                answer was lost.

        Raises:
            TransferError: the store does not answer.
        """
        info = await self.look(key)
        if info is None:
            return SEND
        same = is_same(info, size_bytes, checksums, body)
        if raced and same:
            return Judgement(Verdict.DONE, info.etag)
        return self.weigh(info, size_bytes, same, recorded)

    async def look(self, key: str) -> ObjectInfo | None:
        """The object of a key; None where there is none any more."""
        try:
            return await self._health.watch(self._store.head(key))
        except NotFoundError as error:
            if error.code == "NoSuchBucket":
                raise
            return None

    def weigh(
        self, info: ObjectInfo, size_bytes: int, same: bool | None, recorded: ObjectEntry | None = None
    ) -> Judgement:
        """The verdict on an object; `same` is None where its checksums tell nothing."""
        if recorded is not None and (info.size_bytes, info.etag) == (size_bytes, recorded.etag):
            same = True  # an ETag that changed, and no checksum: somebody may have replaced it
        if same and (self._policy is not IfExists.FAIL or not self._journal.is_fresh):
            return Judgement(Verdict.DONE, info.etag)
        if self._policy is IfExists.OVERWRITE:
            return SEND
        return leave(self._policy, info, "" if same is None else "another")


def leave(policy: IfExists, there: ObjectInfo | ListedObject | ListedVersion, which: str = "") -> Judgement:
    """The verdict on an entry whose key has an object that stays as it is; `which` says what kind of one."""
    reason = _THERE if not which else f"the bucket has {which} object of this key"
    if there.last_modified is not None:
        reason += f", {there.size_bytes:,} bytes of {there.last_modified:%Y-%m-%d %H:%M:%S}"
    if policy is IfExists.SKIP:
        return Judgement(Verdict.SKIP, reason=reason)
    return Judgement(Verdict.REFUSE, reason=f"{reason}; {_REMEDY}")


def is_same(
    info: ObjectInfo, size_bytes: int, checksums: Checksums, body: bytes | memoryview | None = None
) -> bool | None:
    """Whether an object is this content; None where what the store tells of it does not say."""
    if info.size_bytes != size_bytes:
        return False
    if info.crc64nvme is not None:
        return info.crc64nvme == checksums.crc64nvme
    if info.crc32c is not None:
        return info.crc32c == checksums.crc32c
    if body is not None and len(info.etag) == _MD5_LENGTH:
        # An ETag that is no MD5 (encrypted objects) only makes the same look like another.
        return hashlib.md5(body, usedforsecurity=False).hexdigest() == info.etag
    return None


def is_completed(info: ObjectInfo, parts: Sequence[Part]) -> bool:
    """Whether an object is the one that an upload of these parts became, by its ETag."""
    return bool(parts) and info.etag == composite_etag(parts)
