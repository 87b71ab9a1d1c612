"""What becomes of the versions of keys, decided before they are read.

Where the bucket keeps versions, all of them go, in order, each in the pass over the device in which it is its
turn. Where it does not, the newest one goes as any object does, and a key that was deleted last is left out.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from transfer.core.records import Entry
from transfer.core.versions import version_of
from transfer.jobs.import_.arbiter import SEND, Judgement, Verdict
from transfer.jobs.import_.histories import MAX_PASSES, Histories
from transfer.jobs.import_.version_arbiter import VersionArbiter

_DISORDER = f"its versions lie on the device so that it would have to be gone over {MAX_PASSES} times"


class Lot(Enum):
    """What becomes of a version."""

    VERSION = "version"  # it goes as one of several; the judgement says if
    ALONE = "alone"  # it goes as the only one of its key
    OLDER = "older"  # the bucket keeps one of each key, and this is not the newest
    REPLACED = "replaced"  # a later run brought it anew
    NOT_NOW = "not now"  # it is the turn of others in this pass


class Standing(Struct, frozen=True):
    """What becomes of one version.

    Attributes:
        judgement: whether it is to be sent, where it goes as one of several.
        is_first: the bucket has nothing of the key, and this is the first to go.
    """

    lot: Lot
    judgement: Judgement = SEND
    is_first: bool = False


class VersionPlanner:
    """Decides, run by run and pass by pass.

    Args:
        histories: the versions on the device.
        arbiter: knows what the bucket has of them.
        keeps_versions: whether the bucket does.
    """

    def __init__(self, histories: Histories, arbiter: VersionArbiter, *, keeps_versions: bool) -> None:
        self.keeps_versions = keeps_versions
        self._histories = histories
        self._arbiter = arbiter
        self._run = 0
        self._pass = 1

    @property
    def is_to_go_on(self) -> bool:
        """Whether versions wait for another pass."""
        return self.keeps_versions and self._pass < min(self._histories.passes, MAX_PASSES)

    async def start_run(self, run: int, number_of_pass: int) -> None:
        """The records of a run come by, from the first one."""
        self._run, self._pass = run, number_of_pass
        self._histories.start_run()
        await self._arbiter.start_run()

    async def stand(self, path: bytes, record: Entry, key: str) -> Standing:
        """What becomes of a version.

        Args:
            path: of its record; not before the one that was asked for last.
            record: that is a version.
            key: that it has in the bucket.

        Raises:
            TransferError: the store or the ledger does not answer.
        """
        history = self._histories.of(path)
        ours, index = history.versions, history.place(version_of(record), self._run)
        if index is None:
            return Standing(Lot.REPLACED)
        if not self.keeps_versions:
            return Standing(Lot.ALONE if index == len(ours) - 1 else Lot.OLDER)
        number = ours[index].in_pass
        if number > MAX_PASSES and self._pass == 1:
            return Standing(Lot.VERSION, Judgement(Verdict.REFUSE, reason=_DISORDER))
        if number != self._pass:
            return Standing(Lot.NOT_NOW)
        judgement = await self._arbiter.judge(key, ours, index)
        return Standing(Lot.VERSION, judgement, is_first=index == 0)
