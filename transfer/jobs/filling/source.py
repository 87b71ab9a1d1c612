"""What a job must know of what it copies from: a folder, a bucket.

A `Source` makes passes. A `Pass` finds what there is to do, in path order, and opens a `SourceSide` for each
device that is filled with it, which turns work into pieces for the writer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from transfer.device.device import Device
from transfer.errors import TransferError
from transfer.jobs.filling.chunks import ZeroFrames
from transfer.jobs.filling.large_pieces import ResumedFile
from transfer.jobs.filling.outcome import Outcome, Pending
from transfer.jobs.filling.result import FillResult
from transfer.jobs.filling.start import Start
from transfer.jobs.filling.work import Counts, LargeEntry, SmallWork, Work


class SourceSide(Protocol):
    """Turns work into pieces, for one device at a time."""

    @property
    def zeros(self) -> ZeroFrames:
        """Frames of zero bytes."""

    async def pack(self, batch: SmallWork) -> Outcome:
        """What came of small entries; called for several at once."""

    async def settled(self, batch: SmallWork, outcome: Outcome) -> Outcome:
        """The outcome as it is to be appended; called in order, when all before is appended."""

    def give_back(self, outcome: Outcome) -> None:
        """It is appended: nobody reads its frames any more. Called in order, for every outcome."""

    def read(self, large: LargeEntry) -> AsyncGenerator[Pending, None]:
        """A large entry, whole."""

    def above(self, work: Work, behind: bytes) -> SmallWork | None:
        """What must come before `work` on a device whose last entry is at `behind`, where other devices got
        what was in between: the folders that it is in. None: nothing."""

    def rest(self, path: bytes, resumed: ResumedFile | None) -> AsyncGenerator[Pending, None]:
        """The large entry at `path`, of which the device has a part (`resumed`), or had one that was given
        up."""

    def error(self, error: OSError) -> TransferError:
        """The error of the product when the source itself cannot be read any more."""

    async def close(self) -> None:
        """Stop threads and processes."""


class Pass(Protocol):
    """One pass over a source, from a start on."""

    @property
    def counts(self) -> Counts:
        """Of what `work` has found so far; it may be asked for once and watched."""

    @property
    def opened(self) -> int:
        """Folders that were opened, or pages that were listed."""

    def work(self) -> AsyncGenerator[Work, None]:
        """All there is to do, in path order; asked for once.

        Raises:
            OSError, TransferError: the source cannot be read any more.
        """

    def side(self, waiting: int) -> SourceSide:
        """A new side, for a pass whose work is carried out.

        Args:
            waiting: how many outcomes are on their way at once, at most.
        """

    async def close(self) -> None:
        """Let go of what finding the work needed."""


class Source(Protocol):
    """What is copied from."""

    @property
    def name(self) -> str:
        """For people, and to tell sources apart: an interrupted run of a source of this name is continued."""

    @property
    def has_keys(self) -> bool:
        """Whether its paths are keys of a bucket."""

    def check(self, device: Device) -> None:
        """Refuse a device that cannot take this source.

        Raises:
            UsageError: it lies in it.
        """

    def first_path(self, work: Work) -> bytes:
        """The first path of a piece of work."""

    def last_path(self, work: Work) -> bytes:
        """The last path of a piece of work."""

    def begin(self, device: Device, start: Start, result: FillResult, *, only_counts: bool = False) -> Pass:
        """A pass of entries behind `start.after`, up to `start.until`, that `start.known` does not have.

        Args:
            device: that it is for.
            start: where it begins.
            result: told the problems that are met and need no record (`note`).
            only_counts: nothing will be carried out, and nothing is to be remembered of it.
        """

    def wants_another_pass(self) -> bool:
        """Whether the pass before left something that another one settles."""

    def pass_again(self) -> None:
        """What follows are such passes."""

    def close(self) -> None:
        """Let go of everything."""
