"""Whether a version of a key is to be written, where the bucket keeps versions. `--if-exists` decides.

Where the bucket has nothing of the key, or a delete marker is the newest that it has, all versions of the
device are written. Else, where the bucket stands is found by `alignment`:

    same       (default) what is there counts, what comes behind it is written; where the bucket's newest
               version is none of the device's, all of the device's fail
    skip, fail the key is left as it is, and its versions are listed as skipped, or fail
    overwrite  all versions are written, behind what is there

An attempt that goes on with an earlier one always goes by `alignment`: what it finds may be its own.

Two versions are the same when the ledger says that this one became that one (size and ETag); by the store's
checksum; and where it has none, by reading it back.

Where the ledger knows all that the bucket has of a key as made of this device's versions, by their ids, the
listing's order is not asked: stores that tell times to the second may tell versions and markers in any order.
"""

from __future__ import annotations

from collections.abc import Sequence

from blake3 import blake3
from msgspec import Struct

from transfer.core.merge import Spot
from transfer.errors import NotFoundError, TransferError
from transfer.jobs.import_.alignment import align
from transfer.jobs.import_.arbiter import SEND, Judgement, Verdict, leave
from transfer.jobs.import_.existing_versions import ExistingVersions
from transfer.jobs.import_.health import EndpointHealth
from transfer.jobs.import_.histories import Version
from transfer.jobs.import_.journal import Journal, Memory
from transfer.jobs.import_.options import IfExists
from transfer.ledger.values import MadeVersion, ObjectEntry, ObjectState
from transfer.stores.contract import Checksums, ListedVersion, Store

_TOO_LATE = "the bucket has a newer version of it already, and a version cannot be put under another"


class _Content(Struct, frozen=True):
    """What a version in the bucket was found to be: by checksums or, where there are none, by digest."""

    crc64nvme: int | None = None
    crc32c: int | None = None
    blake3: str = ""

    def is_of(self, version: Version) -> bool:
        sums: Checksums = version.checksums
        if self.crc64nvme is not None:
            return self.crc64nvme == sums.crc64nvme
        if self.crc32c is not None:
            return self.crc32c == sums.crc32c
        return self.blake3 == version.blake3


class VersionArbiter:
    """Decides for one pass over a run.

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
        self._existing = ExistingVersions(store, prefix, health)
        self._memory = Memory(journal)
        self._key = ""
        self._judgements: list[Judgement] = []

    async def start_run(self) -> None:
        """Keys come from the first one again."""
        await self.aclose()
        self._existing = ExistingVersions(self._store, self._prefix, self._health)
        self._memory = Memory(self._journal)
        self._key = ""

    async def aclose(self) -> None:
        """Let go of the listing."""
        await self._existing.aclose()

    async def judge(self, key: str, ours: Sequence[Version], index: int) -> Judgement:
        """What becomes of one of the versions that a device has of a key; asked in ascending order of keys.

        Raises:
            TransferError: the store or the ledger does not answer.
        """
        if key != self._key:
            self._judgements = await self._decide(key, ours)
            self._key = key
        return self._judgements[index]

    async def _decide(self, key: str, ours: Sequence[Version]) -> list[Judgement]:
        recorded, made = await self._known(key, ours)
        is_fresh = self._journal.is_fresh
        there = await self._existing.of(key)
        if there is None:
            return self._by_memory(ours, recorded)
        if not there:
            return [SEND] * len(ours)
        if is_fresh and self._policy is not IfExists.SAME:
            return self._left(there[-1], ours)
        listed = {one.version_id: one for one in there}
        if listed.keys() <= {one.version_id for one in made.values()}:
            return _by_ids(listed, ours, recorded, made)
        return await self._continue(there, ours, recorded, made)

    async def _continue(
        self,
        there: Sequence[ListedVersion],
        ours: Sequence[Version],
        recorded: dict[Spot, ObjectEntry],
        made: dict[Spot, MadeVersion],
    ) -> list[Judgement]:
        """What is there counts, as far as it is ours."""
        comparison = _Comparison(self._store, self._health, recorded)
        try:
            written = [place for place, version in enumerate(ours) if version.spot in recorded]
            aligned = await align(there, ours, comparison.is_same, written=max(written, default=-1))
        except TransferError as error:
            return [Judgement(Verdict.REFUSE, reason=str(error))] * len(ours)
        if aligned is None:
            return self._left(there[-1], ours, "another")
        pairs = zip(aligned.found, ours, strict=False)
        judged = [
            _judged(found, recorded.get(version.spot), made.get(version.spot)) for found, version in pairs
        ]
        return judged + [SEND] * (len(ours) - len(judged))

    async def _known(
        self, key: str, ours: Sequence[Version]
    ) -> tuple[dict[Spot, ObjectEntry], dict[Spot, MadeVersion]]:
        """What the ledger has of them: as done in this job, and as made in any job of the device."""
        recorded: dict[Spot, ObjectEntry] = {}
        made: dict[Spot, MadeVersion] = {}
        for version in sorted(ours, key=lambda version: version.spot):
            entry = await self._memory.recall(version.spot)
            if entry is not None and entry.state is ObjectState.DONE and entry.key == key:
                recorded[version.spot] = entry
            became = await self._memory.made(version.spot)
            if became is not None and (became.key, became.blake3) == (key, version.blake3):
                made[version.spot] = became
        return recorded, made

    def _by_memory(self, ours: Sequence[Version], recorded: dict[Spot, ObjectEntry]) -> list[Judgement]:
        """Where nobody lets us look, the ledger's word is all there is."""
        entries = [recorded.get(version.spot) for version in ours]
        return [
            SEND if entry is None else Judgement(Verdict.DONE, entry.etag, recorded=entry)
            for entry in entries
        ]

    def _left(self, newest: ListedVersion, ours: Sequence[Version], which: str = "") -> list[Judgement]:
        """Nothing of ours is there; what is there decides."""
        if newest.is_delete_marker or self._policy is IfExists.OVERWRITE:
            return [SEND] * len(ours)
        return [leave(self._policy, newest, which)] * len(ours)


def _by_ids(
    listed: dict[str, ListedVersion],
    ours: Sequence[Version],
    recorded: dict[Spot, ObjectEntry],
    made: dict[Spot, MadeVersion],
) -> list[Judgement]:
    """Where all that is listed is ours, by the ids that the store gave."""
    found = [
        listed.get(became.version_id) if (became := made.get(version.spot)) is not None else None
        for version in ours
    ]
    newest = max(place for place, one in enumerate(found) if one is not None)
    judged = [
        _judged(one, recorded.get(version.spot), made.get(version.spot))
        for one, version in zip(found[: newest + 1], ours, strict=False)
    ]
    return judged + [SEND] * (len(ours) - len(judged))


def _judged(found: ListedVersion | None, recorded: ObjectEntry | None, made: MadeVersion | None) -> Judgement:
    """A version that the bucket's newest one is, or comes behind.

    One that was written, and that the bucket has no more (a rule of its own may have removed it), cannot be
    brought back under newer ones.
    """
    if found is None:
        if recorded is not None:
            return Judgement(Verdict.DONE, recorded.etag, recorded=recorded)
        return Judgement(Verdict.DONE if made else Verdict.REFUSE, reason="" if made else _TOO_LATE)
    is_known = recorded is not None and recorded.etag == found.etag
    is_made = made is not None and made.version_id == found.version_id
    return Judgement(
        Verdict.DONE,
        found.etag,
        recorded=recorded if is_known else None,
        version_id="" if is_made else found.version_id,
    )


class _Comparison:
    """Compares the versions of one key; what was found out of one in the bucket is remembered."""

    def __init__(self, store: Store, health: EndpointHealth, recorded: dict[Spot, ObjectEntry]) -> None:
        self._store = store
        self._health = health
        self._recorded = recorded
        self._contents: dict[str, _Content] = {}

    async def is_same(self, there: ListedVersion, ours: Version) -> bool:
        if there.is_delete_marker or ours.is_marker:
            return there.is_delete_marker and ours.is_marker
        if there.size_bytes != ours.size_bytes:
            return False
        entry = self._recorded.get(ours.spot)
        if not ours.size_bytes or (entry is not None and there.etag and entry.etag == there.etag):
            return True
        content = self._contents.get(there.version_id)
        if content is None:
            content = self._contents[there.version_id] = await self._look(there)
        return content.is_of(ours)

    async def _look(self, there: ListedVersion) -> _Content:
        head = self._store.head(there.key, version_id=there.version_id)
        try:
            info = await self._health.watch(head)
        except NotFoundError as error:
            if error.code == "NoSuchBucket":
                raise
            return _Content()  # gone meanwhile
        if info.crc64nvme is not None or info.crc32c is not None or not info.size_bytes:
            return _Content(info.crc64nvme, info.crc32c)
        digest = blake3()
        async with self._store.get(there.key, version_id=there.version_id) as body:
            async for piece in body:
                digest.update(piece)
        return _Content(blake3=digest.hexdigest())
