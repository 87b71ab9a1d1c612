"""What was decided of entries, for whoever sends them: values, from `planning` to `files`."""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec import Struct

from transfer.core.merge import Spot
from transfer.core.object_metadata import NO_METADATA, ObjectMetadata
from transfer.core.parts import PartPlan
from transfer.core.records import Chunk, File
from transfer.jobs.import_.arbiter import SEND, Judgement, Verdict
from transfer.jobs.import_.journal import Parked
from transfer.jobs.import_.links import path_text
from transfer.jobs.import_.version_planning import Standing
from transfer.stores.contract import ObjectInfo

LEFT_OUT = "the filter leaves it out"
SUPERSEDED = "a later run replaced it"
OLDER = "a newer version of it goes instead"
NOT_NOW = "it is the turn of another version"
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
        spot: of its record; of a large file's first one, of a large version's last one.
        version: set where it is one of several versions of its key.
    """

    path: bytes
    record: File
    key: str
    run: int
    stand_in: str
    spot: Spot
    version: Standing | None = None


class SmallStep(Struct, frozen=True):
    """What becomes of a file that has all its content in one frame."""

    sending: Sending
    metadata: ObjectMetadata
    judgement: Judgement
    place: Place


class MarkerStep(Struct, frozen=True):
    """What becomes of a delete marker.

    Attributes:
        judgement: None where the bucket keeps no versions.
        is_newest: of its key, on the device.
    """

    path: bytes
    key: str
    spot: Spot
    judgement: Judgement | None
    is_newest: bool = False


@dataclass(slots=True)
class LargeFile:
    """A large file, from its first record to its last.

    Attributes:
        plan: how it is cut; None where its content is not needed.
        judgement: `COMPARE` waits for the last record, which has the checksums to compare `there` with, or
            for the content, where only that tells.
        parked: the upload that goes on, where there is one.
        version: set where it is one of several versions of its key.
        last_spot: of its last record, when that was met.
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
    version: Standing | None = None
    last_spot: Spot | None = None

    def refuse(self, reason: str) -> None:
        """It cannot go."""
        self.judgement = Judgement(Verdict.REFUSE, reason=reason)

    @property
    def upload_spot(self) -> Spot | None:
        """What its upload is known by beside the key, which versions share."""
        return self.spot if self.version is not None else None

    @property
    def record_spot(self) -> Spot:
        """What it is known by in the ledger: of a version the last record, which the merged view has."""
        return self.last_spot if self.version is not None and self.last_spot is not None else self.spot

    def needs(self, chunk: Chunk) -> bool:
        """Whether the content of a chunk is to be sent or compared."""
        if self.plan is None:
            return False
        return self.parked is None or chunk.index // self.plan.chunks_per_part + 1 not in self.parked.parts


Step = SmallStep | LargeFile | MarkerStep | None


@dataclass(slots=True)
class GroupWork:
    """What is to be done with each record of a group; see `packs.Work`."""

    needs_content: bool = False
    steps: list[Step] = field(default_factory=list)


def stand_in_of(path: bytes, place: Place) -> str:
    """Which link's key a file goes under, as `path_text` spells it; empty where it is its own."""
    return "" if place.path is None or place.path == path else path_text(place.path)
