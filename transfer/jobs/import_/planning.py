"""What is to be done with each frame, decided before it is read: which entries are sent, which need not be.

Records come in the order of the device, one after the other. What is decided here is only looked up in the
ledger and in the bucket's listing; nothing is sent, and no content is seen. So frames whose entries are all
in the bucket already are never opened, and neither are those of parts that the store already has.
"""

from __future__ import annotations

from transfer.core.merge import LaterPaths, Spot
from transfer.core.object_keys import object_key
from transfer.core.object_metadata import NO_METADATA
from transfer.core.parts import PartPlan, plan_parts
from transfer.core.records import Begin, Chunk, DeleteMarker, Entry, File, Hardlink, Void
from transfer.core.versions import version_of
from transfer.device.frame_stream import FrameGroup
from transfer.errors import TransferError
from transfer.jobs.import_.arbiter import SEND, Arbiter, Judgement, Verdict, is_completed
from transfer.jobs.import_.comparison import is_comparable
from transfer.jobs.import_.entries import is_wanted, key_of
from transfer.jobs.import_.journal import Journal
from transfer.jobs.import_.links import LinkState, LinkStates
from transfer.jobs.import_.options import IfExists, ImportOptions
from transfer.jobs.import_.steps import (
    BEGIN_LOST,
    LEFT_OUT,
    NOT_NOW,
    OLDER,
    SUPERSEDED,
    GroupWork,
    LargeFile,
    MarkerStep,
    Place,
    Sending,
    SmallStep,
    Step,
    stand_in_of,
)
from transfer.jobs.import_.targets import Targets
from transfer.jobs.import_.version_planning import Lot, Standing, VersionPlanner

_NOWHERE = {Lot.OLDER: OLDER, Lot.REPLACED: SUPERSEDED, Lot.NOT_NOW: NOT_NOW}


class FilePlanner:
    """Decides, run by run.

    Args:
        chunk_size_bytes: of the device.
        options: of the import.
        arbiter: knows what is in the bucket already.
        journal: knows which uploads were left open.
        links: told of the files that hard links may name.
        versions: decides about versions of keys.
        targets: where files go.
    """

    def __init__(
        self,
        *,
        chunk_size_bytes: int,
        options: ImportOptions,
        arbiter: Arbiter,
        journal: Journal,
        links: LinkStates,
        versions: VersionPlanner,
        targets: Targets,
    ) -> None:
        self._chunk_size_bytes = chunk_size_bytes
        self._options = options
        self._arbiter = arbiter
        self._journal = journal
        self._links = links
        self._versions = versions
        self._targets = targets
        self._large: LargeFile | None = None
        self._later = LaterPaths([])
        self._pass = 1

    async def start_run(self, run: int, later: LaterPaths, number_of_pass: int = 1) -> None:
        """A run begins; `later` knows the paths that newer runs have. Behind the first pass over the device
        only versions are left, those that had to wait for others.
        """
        self._later, self._links.run, self._large = later, run, None
        self._pass = number_of_pass
        await self._arbiter.start_pass()
        await self._versions.start_run(run, number_of_pass)

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
        if self._pass > 1 and not isinstance(record, Chunk | Void) and version_of(record) is None:
            return None
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
                return await self._close(record, spot)
            case Void():
                self._large = None
            case DeleteMarker():
                return await self._marker(record, spot)
            case Hardlink() if not self._later.has(path := record.path_bytes):
                self._links.meet(path, record)
        return None

    async def _small(self, record: File, spot: Spot) -> SmallStep:
        path = record.path_bytes
        place, version = await self._place_of(path, record, record.size_bytes)
        if place.path is None:
            self._links.meet_file(path, record, LinkState(problem=place.why))
            nowhere = Judgement(Verdict.SKIP, reason=place.why)
            return SmallStep(
                Sending(path, record, "", self._links.run, "", spot), NO_METADATA, nowhere, place
            )
        target = self._targets.of(place.path, record, record.size_bytes)
        stand_in = stand_in_of(path, place)
        sending = Sending(path, record, target.key, self._links.run, stand_in, spot, version)
        self._links.meet_file(path, record, LinkState(stand_in=stand_in))
        if target.problem:
            judgement = Judgement(Verdict.REFUSE, reason=target.problem)
        else:
            judgement = await self._judge(target.key, record.size_bytes, spot, version)
        return SmallStep(sending, target.metadata, judgement, place)

    async def _judge(self, key: str, size_bytes: int, spot: Spot, version: Standing | None) -> Judgement:
        if version is None:
            return await self._arbiter.judge(key, size_bytes, spot)
        self._journal.reach(spot)
        return version.judgement

    async def _marker(self, record: DeleteMarker, spot: Spot) -> Step:
        path = record.path_bytes
        key, problem = object_key(self._options.prefix, path, self._options.limits)
        if not is_wanted(path, None, self._options.filter, is_object=True):
            return None
        standing = await self._versions.stand(path, record, key)
        match standing.lot:
            case Lot.VERSION:
                self._journal.reach(spot)
                judgement = Judgement(Verdict.REFUSE, reason=problem) if problem else standing.judgement
                return MarkerStep(path, key, spot, judgement)
            case Lot.ALONE | Lot.OLDER:
                return MarkerStep(path, key, spot, None, is_newest=standing.lot is Lot.ALONE)
        return None

    async def _begin(self, record: Begin, spot: Spot) -> LargeFile:
        path, size = record.path_bytes, record.size_bytes
        place, version = await self._place_of(path, record, size)
        large = LargeFile(path, size, place, spot, self._links.run, version=version)
        if large.place.path is None:
            return large
        target = self._targets.of(large.place.path, record, size)
        large.key, large.metadata = target.key, target.metadata
        if target.problem:
            large.refuse(target.problem)
            return large
        try:
            plan = plan_parts(size, self._chunk_size_bytes, self._options.limits)
        except TransferError as error:
            large.refuse(str(error))
            return large
        large.judgement = await self._judge(target.key, size, spot, version)
        if large.judgement.verdict is Verdict.COMPARE:
            await self._look(large, plan)
        if large.judgement.verdict is Verdict.SEND:
            large.plan = plan
            parked = self._journal.parked(large.key, large.upload_spot)
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

    async def _close(self, record: File, spot: Spot) -> Step:
        """A large file's last record, the only one with all that hard links may ask for.

        A step where the file's beginning was lost; else it was the step of its first record.
        """
        large, self._large = self._large, None
        path = record.path_bytes
        is_lost = large is None or large.path != path
        if large is None or is_lost:
            place, version = await self._place_of(path, record, record.size_bytes)
            key = self._targets.key(path)
            large = LargeFile(path, record.size_bytes, place, spot, self._links.run, key, version=version)
            large.refuse(BEGIN_LOST)
        large.last_spot = spot
        problem = large.place.why if large.place.path is None else large.judgement.reason if is_lost else ""
        state = LinkState(problem=problem, stand_in=stand_in_of(path, large.place))
        self._links.meet_file(path, record, state)
        return large if is_lost else None

    def lose_large(self) -> None:
        """The large file at hand goes no further."""
        self._large = None

    async def _place_of(
        self, path: bytes, record: File | Begin, size_bytes: int
    ) -> tuple[Place, Standing | None]:
        """Where a file of the run at hand goes, and as which of several versions; paths come in ascending
        order.
        """
        if (facts := record.object) is None:
            return self._place(path, size_bytes), None
        if not is_wanted(path, size_bytes, self._options.filter, is_object=True):
            return Place(None, LEFT_OUT), None
        if not facts.history:
            return Place(None, SUPERSEDED) if self._later.has(path, record) else Place(path), None
        standing = await self._versions.stand(path, record, key_of(path, self._options))
        match standing.lot:
            case Lot.VERSION:
                return Place(path), standing
            case Lot.ALONE:
                return Place(path), None
            case lot:
                return Place(None, _NOWHERE[lot]), None

    def _place(self, path: bytes, size_bytes: int) -> Place:
        if self._targets.is_list(path):
            return Place(None, LEFT_OUT)
        if self._later.has(path):
            return Place(self._links.stand_in(path), SUPERSEDED)
        if is_wanted(path, size_bytes, self._options.filter):
            return Place(path)
        return Place(self._links.stand_in(path), LEFT_OUT)
