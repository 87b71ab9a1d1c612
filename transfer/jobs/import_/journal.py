"""One import's side of the ledger: what it recorded before, and what it records now.

What the ledger says was done is never taken as more than that: the caller compares it with the bucket
(`existing`), and with the parts that the store lists (`parked`).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeAlias, TypeVar

from transfer.core.merge import Spot
from transfer.core.parts import PartPlan
from transfer.errors import NotFoundError, StoreError
from transfer.jobs.import_.registration import give_up
from transfer.ledger.ledger import Ledger
from transfer.ledger.values import MadeVersion, ObjectEntry, ObjectState, Upload
from transfer.stores.contract import Part, Store

_Name: TypeAlias = tuple[str, Spot | None]
"""Of an upload: its key and, where that has several versions, which of the device's records it is of."""

_PAGE_ROWS = 1024
_PACKS_OPEN = 16


class Parked:
    """An upload that an earlier attempt left open at the store.

    Attributes:
        parts: by number, those that both the ledger and the store have.
        is_lost: the store does not have it any more; `recorded` tells what it would have become.
        recorded: the parts that the ledger has.
    """

    def __init__(self, upload: Upload, recorded: list[Part], listed: dict[int, Part] | None) -> None:
        self.upload = upload
        self.recorded = recorded
        self.is_lost = listed is None
        self.parts = {
            part.number: part for part in recorded if _is_same(part, (listed or {}).get(part.number))
        }

    def fits(self, plan: PartPlan) -> bool:
        """Whether it can go on, cut as `plan` is."""
        sizes = (self.upload.size_bytes, self.upload.part_size_bytes)
        return not self.is_lost and sizes == (plan.size_bytes, plan.part_size_bytes)


def _is_same(recorded: Part, listed: Part | None) -> bool:
    return (
        listed is not None
        and recorded.checksums is not None
        and (recorded.size_bytes, recorded.etag) == (listed.size_bytes, listed.etag)
    )


class Journal:
    """The record of one job.

    Args:
        ledger: where it is kept.
        job: its number.
        begun: an attempt was begun before; what it sent at last the ledger may not have heard of.
    """

    def __init__(self, ledger: Ledger, job: int, *, begun: bool = False) -> None:
        self.job = job
        self.ledger = ledger
        self._begun = begun
        self.first_job = job
        self.knows_versions = False
        self.checked: frozenset[int] = frozenset()
        self.is_fresh = True
        self._furthest: Spot = (-1, -1)
        self._reached: Spot = (-1, -1)
        self._parked: dict[_Name, Parked] = {}
        self._memory = Memory(self)

    async def load(self, store: Store) -> None:
        """Learn what earlier attempts did, and which of their uploads are still at the store.

        Raises:
            TransferError: the store or the ledger does not answer.
        """
        self.first_job = await self.ledger.jobs.first_of(self.job)
        self.checked = await self.ledger.objects.checked_packs(self.job)
        for upload in reversed(await self.ledger.uploads.begun(self.job)):  # the newest of a name goes on
            is_version = upload.position >= 0
            name: _Name = (upload.key, (upload.sequence, upload.position) if is_version else None)
            if upload.upload_id and name not in self._parked:
                self._parked[name] = await self._parked_of(store, upload)
            else:
                await give_up(self.ledger, store, self.job, upload)
        self._furthest = await self.ledger.objects.last_spot(self.job)
        self.is_fresh = not (self._begun or self.checked or self._parked or self._furthest > self._reached)
        self.knows_versions = not self.is_fresh or self.first_job != self.job

    @property
    def is_caught_up(self) -> bool:
        """Whether all that earlier attempts recorded was met again."""
        return self._reached >= self._furthest

    async def _parked_of(self, store: Store, upload: Upload) -> Parked:
        recorded = await self.ledger.uploads.parts(upload.number)
        try:
            listed = {part.number: part async for part in store.list_parts(upload.key, upload.upload_id)}
        except NotFoundError as error:
            if error.code == "NoSuchBucket":
                raise
            return Parked(upload, recorded, None)
        except StoreError as error:
            if error.status != 501:
                raise
            listed = {}  # it keeps parts and cannot list them: they are sent again, over what is there
        return Parked(upload, recorded, listed)

    def parked(self, key: str, spot: Spot | None = None) -> Parked | None:
        """The upload of a key that was left open; it stays the journal's until `take_parked`.

        Args:
            key: of the object.
            spot: of its first record, where it is one of several versions of the key.
        """
        return self._parked.get((key, spot))

    def take_parked(self, key: str, spot: Spot | None = None) -> None:
        """Whoever takes it ends it."""
        self._parked.pop((key, spot), None)

    async def drop_parked(self, store: Store) -> None:
        """Give up what nobody took.

        Raises:
            TransferError: the store does not do it; what is left stays recorded.
        """
        for name in list(self._parked):
            await give_up(self.ledger, store, self.job, self._parked[name].upload)
            del self._parked[name]

    async def recall(self, spot: Spot) -> ObjectEntry | None:
        """What is recorded of an entry; within a segment, positions are asked for in ascending order."""
        self.reach(spot)
        return await self._memory.recall(spot)

    def reach(self, spot: Spot) -> None:
        """An entry was met again."""
        self._reached = max(self._reached, spot)

    def forget_recalls(self) -> None:
        """The device is gone through once more, from its first segment."""
        self._memory = Memory(self)

    async def record(
        self,
        spot: Spot,
        state: ObjectState,
        key: str,
        size_bytes: int,
        *,
        blake3: str = "",
        etag: str = "",
        error: str = "",
    ) -> None:
        """Record what became of an entry.

        Raises:
            TransferError: the ledger cannot be written.
        """
        entry = ObjectEntry(self.job, *spot, state, key, size_bytes, blake3, etag, error)
        await self.ledger.recorder.object(entry)

    async def version_made(self, spot: Spot, key: str, version_id: str, *, blake3: str = "") -> None:
        """Record what a version became, for all imports of the device into this place."""
        made = MadeVersion(self.first_job, *spot, key, version_id, blake3)
        await self.ledger.recorder.version(made)

    async def pack_checked(self, sequence: int) -> None:
        """Record that a whole pack was read and is what it should be."""
        await self.ledger.recorder.pack_checked(self.job, sequence)


class _Placed(Protocol):
    @property
    def position(self) -> int: ...


RowT = TypeVar("RowT", bound=_Placed)


class _Recalls(Generic[RowT]):
    """Rows of packs, each pack page by page; within one, positions are asked for in ascending order.

    Args:
        ask: for a page, by sequence and the position of the last row of the page before.
    """

    def __init__(self, ask: Callable[[int, int], Awaitable[list[RowT]]]) -> None:
        self._ask = ask
        self._open: OrderedDict[int, _Recall[RowT]] = OrderedDict()

    async def row(self, spot: Spot) -> RowT | None:
        sequence, position = spot
        recall = self._open.get(sequence)
        if recall is None:
            recall = self._open[sequence] = _Recall()
            if len(self._open) > _PACKS_OPEN:
                self._open.popitem(last=False)
        self._open.move_to_end(sequence)
        return await recall.row(position, lambda after: self._ask(sequence, after))


class _Recall(Generic[RowT]):
    """What is recorded of one pack."""

    def __init__(self) -> None:
        self._page: deque[RowT] = deque()
        self._last = -1
        self._is_last_page = False

    async def row(self, position: int, ask: Callable[[int], Awaitable[list[RowT]]]) -> RowT | None:
        while True:
            while self._page and self._page[0].position < position:
                self._page.popleft()
            if self._page:
                return self._page[0] if self._page[0].position == position else None
            if self._is_last_page:
                return None
            after = max(self._last, position - 1)
            page = await ask(after)
            self._is_last_page = len(page) < _PAGE_ROWS
            self._page = deque(page)
            self._last = page[-1].position if page else after


class Memory:
    """One pass over what a journal has of entries; within a segment, positions are asked for in ascending
    order.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        objects, job = journal.ledger.objects, journal.job
        self._entries = _Recalls[ObjectEntry](
            lambda sequence, after: objects.of_pack(job, sequence, after=after, limit=_PAGE_ROWS)
        )
        # Of the first job all that follow it know: it is asked for when `load` has found which that is.
        self._made = _Recalls[MadeVersion](
            lambda sequence, after: objects.made_versions(
                journal.first_job, sequence, after=after, limit=_PAGE_ROWS
            )
        )

    async def recall(self, spot: Spot) -> ObjectEntry | None:
        """What is recorded of an entry."""
        return None if self._journal.is_fresh else await self._entries.row(spot)

    async def made(self, spot: Spot) -> MadeVersion | None:
        """What a version became in this import, or in one of the same device before it was sealed anew."""
        knows = self._journal.knows_versions
        return await self._made.row(spot) if knows else None
