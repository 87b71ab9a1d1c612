"""What is to be done with each frame, decided before it is read: which entries are sent, which need not be.

Records come in the order of the device, one after the other. What is decided here is only looked up in the
ledger and in the bucket's listing; nothing is sent, and no content is seen. So frames whose entries are all
in the bucket already are never opened, and neither are those of parts that the store already has.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec import Struct

from transfer.core.merge import LaterPaths, Spot
from transfer.core.object_metadata import NO_METADATA, ObjectMetadata
from transfer.core.parts import PartPlan, plan_parts
from transfer.core.records import Begin, Chunk, Entry, File, Hardlink, Void
from transfer.device.frame_stream import FrameGroup
from transfer.errors import TransferError
from transfer.jobs.import_.arbiter import SEND, Arbiter, Judgement, Verdict, is_completed
from transfer.jobs.import_.comparison import is_comparable
from transfer.jobs.import_.entries import is_wanted, key_of, target_of
from transfer.jobs.import_.journal import Journal, Parked
from transfer.jobs.import_.links import LinkState, LinkStates, path_text
from transfer.jobs.import_.options import IfExists, ImportOptions
from transfer.stores.contract import ObjectInfo

LEFT_OUT = "the filter leaves it out"
SUPERSEDED = "a later run replaced it"
BEGIN_LOST = "its beginning is lost with a damaged segment"


class Place(Struct, frozen=True):
    """The path whose key a file gets, its own or that of a link that stands in; None: nowhere, and why."""

    path: bytes | None
    why: str = ""


class Sending(Struct, frozen=True):
    """A file of a run on its way.

    Attributes:
        key: that it goes under.
        run: of its record.
        stand_in: which link's key that is, where not its own.
        spot: of its record; of a large file's first one.
    """

    path: bytes
    record: File
    key: str
    run: int
    stand_in: str
    spot: Spot


class SmallStep(Struct, frozen=True):
    """What becomes of a file that has all its content in one frame."""

    sending: Sending
    metadata: ObjectMetadata
    judgement: Judgement
    place: Place


@dataclass(slots=True)
class LargeFile:
    """A large file, from its first record to its last.

    Attributes:
        plan: how it is cut; None where its content is not needed.
        judgement: `COMPARE` waits for the last record, which has the checksums to compare `there` with, or
            for the content, where only that tells.
        parked: the upload that goes on, where there is one.
    """

    path: bytes
    size_bytes: int
    place: Place
    spot: Spot
    run: int
    key: str = ""
    metadata: ObjectMetadata = NO_METADATA
    judgement: Judgement = SEND
    plan: PartPlan | None = None
    parked: Parked | None = None
    there: ObjectInfo | None = None

    def refuse(self, reason: str) -> None:
        """It cannot go."""
        self.judgement = Judgement(Verdict.REFUSE, reason=reason)

    def needs(self, chunk: Chunk) -> bool:
        """Whether the content of a chunk is to be sent or compared."""
        if self.plan is None:
            return False
        return self.parked is None or chunk.index // self.plan.chunks_per_part + 1 not in self.parked.parts


Step = SmallStep | LargeFile | None


@dataclass(slots=True)
class GroupWork:
    """What is to be done with each record of a group; see `packs.Work`."""

    needs_content: bool = False
    steps: list[Step] = field(default_factory=list)


class FilePlanner:
    """Decides, run by run.

    Args:
        chunk_size_bytes: of the device.
        options: of the import.
        arbiter: knows what is in the bucket already.
        journal: knows which uploads were left open.
        links: told of the files that hard links may name.
    """

    def __init__(
        self,
        *,
        chunk_size_bytes: int,
        options: ImportOptions,
        arbiter: Arbiter,
        journal: Journal,
        links: LinkStates,
    ) -> None:
        self._chunk_size_bytes = chunk_size_bytes
        self._options = options
        self._arbiter = arbiter
        self._journal = journal
        self._links = links
        self._large: LargeFile | None = None
        self._later = LaterPaths([])

    async def start_run(self, run: int, later: LaterPaths) -> None:
        """A run begins; `later` knows the paths that newer runs have."""
        self._later, self._links.run, self._large = later, run, None
        await self._arbiter.start_pass()

    async def plan(self, group: FrameGroup) -> GroupWork:
        """What is to be done with a group of records, the next one on the device.

        Raises:
            TransferError: the store or the ledger does not answer.
        """
        work = GroupWork()
        for record, position in zip(group.records, group.positions, strict=True):
            work.steps.append(await self._step(record, (group.sequence, position), work))
        return work

    async def _step(self, record: Entry, spot: Spot, work: GroupWork) -> Step:
        match record:
            case File(offset=int()):
                step = await self._small(record, spot)
                work.needs_content |= step.judgement.verdict in (Verdict.SEND, Verdict.COMPARE)
                return step
            case Begin():
                self._large = await self._begin(record, spot)
                return self._large
            case Chunk() if self._large is not None and self._large.path == record.path_bytes:
                work.needs_content |= self._large.needs(record)
            case File():
                return self._close(record, spot)
            case Void():
                self._large = None
            case Hardlink() if not self._later.has(path := record.path_bytes):
                self._links.meet(path, record)
        return None

    async def _small(self, record: File, spot: Spot) -> SmallStep:
        path = record.path_bytes
        place = self.place(path, record.size_bytes)
        if place.path is None:
            self._links.meet_file(path, record, LinkState(problem=place.why))
            nowhere = Judgement(Verdict.SKIP, reason=place.why)
            return SmallStep(
                Sending(path, record, "", self._links.run, "", spot), NO_METADATA, nowhere, place
            )
        target = target_of(place.path, record, record.size_bytes, self._options)
        sending = self.sending(path, record, target.key, place, spot)
        self._links.meet_file(path, record, LinkState(stand_in=sending.stand_in))
        if target.problem:
            judgement = Judgement(Verdict.REFUSE, reason=target.problem)
        else:
            judgement = await self._arbiter.judge(target.key, record.size_bytes, spot)
        return SmallStep(sending, target.metadata, judgement, place)

    async def _begin(self, record: Begin, spot: Spot) -> LargeFile:
        path, size = record.path_bytes, record.size_bytes
        large = LargeFile(path, size, self.place(path, size), spot, self._links.run)
        if large.place.path is None:
            return large
        target = target_of(large.place.path, record, size, self._options)
        large.key, large.metadata = target.key, target.metadata
        if target.problem:
            large.refuse(target.problem)
            return large
        try:
            plan = plan_parts(size, self._chunk_size_bytes, self._options.limits)
        except TransferError as error:
            large.refuse(str(error))
            return large
        large.judgement = await self._arbiter.judge(target.key, size, spot)
        if large.judgement.verdict is Verdict.COMPARE:
            await self._look(large, plan)
        if large.judgement.verdict is Verdict.SEND:
            large.plan = plan
            parked = self._journal.parked(large.key)
            large.parked = parked if parked is not None and parked.fits(plan) else None
        return large

    async def _look(self, large: LargeFile, plan: PartPlan) -> None:
        """See whether the object of a large file's key is that file, as far as can be said before its end."""
        info = await self._arbiter.look(large.key)
        recorded = large.judgement.recorded
        if info is None:
            large.judgement = SEND
            return
        if info.size_bytes != large.size_bytes:
            large.judgement = self._arbiter.weigh(info, large.size_bytes, False)
            return
        parked = self._journal.parked(large.key)
        if recorded is not None and recorded.etag == info.etag:
            large.judgement = Judgement(Verdict.DONE, info.etag, recorded=recorded)
        elif parked is not None and is_completed(info, parked.recorded):
            large.judgement = Judgement(Verdict.DONE, info.etag)
        elif self._options.if_exists is IfExists.OVERWRITE:
            large.judgement = SEND
        elif info.crc64nvme is not None or info.crc32c is not None:
            large.there = info
        elif is_comparable(info.etag, plan):
            large.there, large.plan = info, plan
        else:
            large.judgement = self._arbiter.weigh(info, large.size_bytes, None, recorded)

    def _close(self, record: File, spot: Spot) -> Step:
        """A large file's last record, the only one with all that hard links may ask for.

        A step where the file's beginning was lost; else it was the step of its first record.
        """
        large, self._large = self._large, None
        path = record.path_bytes
        is_lost = large is None or large.path != path
        if large is None or is_lost:
            place = self.place(path, record.size_bytes)
            large = LargeFile(
                path, record.size_bytes, place, spot, self._links.run, key_of(path, self._options)
            )
            large.refuse(BEGIN_LOST)
        problem = large.place.why if large.place.path is None else large.judgement.reason if is_lost else ""
        state = LinkState(problem=problem, stand_in=stand_in_of(path, large.place))
        self._links.meet_file(path, record, state)
        return large if is_lost else None

    def lose_large(self) -> None:
        """The large file at hand goes no further."""
        self._large = None

    def place(self, path: bytes, size_bytes: int) -> Place:
        """Where a file of the run at hand goes; paths come in ascending order."""
        if self._later.has(path):
            return Place(self._links.stand_in(path), SUPERSEDED)
        if is_wanted(path, size_bytes, self._options.filter):
            return Place(path)
        return Place(self._links.stand_in(path), LEFT_OUT)

    def sending(self, path: bytes, record: File, key: str, place: Place, spot: Spot) -> Sending:
        """A file of the run at hand that goes somewhere."""
        return Sending(path, record, key, self._links.run, stand_in_of(path, place), spot)


def stand_in_of(path: bytes, place: Place) -> str:
    """Which link's key a file goes under, as `path_text` spells it; empty where it is its own."""
    return "" if place.path is None or place.path == path else path_text(place.path)
