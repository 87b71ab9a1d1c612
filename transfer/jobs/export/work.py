"""What passes between plan, fetchers and workers: what to fetch. It crosses pipes as MessagePack; frames that
come back wait in shared memory, or are views of the message that brought them.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from msgspec import Struct

from transfer.jobs.export.wanted import Wanted
from transfer.jobs.filling.outcome import Outcome
from transfer.jobs.filling.work import LargeEntry


class Fetch(Struct, frozen=True, array_like=True, tag=True):
    """Fetch a small object.

    `member` is its name in the tar stream, where that is not the path; `known_reason` why it failed before:
    the same failure is reported but not recorded again.
    """

    wanted: Wanted
    member: str = ""
    known_reason: str = ""


class PutMarker(Struct, frozen=True, array_like=True, tag=True):
    """Record a delete marker."""

    wanted: Wanted


class PutProblem(Struct, frozen=True, array_like=True, tag=True):
    """Record what was skipped or failed before it came to fetching."""

    path: bytes
    skipped: bool
    reason: str
    detail: str = ""


Order = Fetch | PutMarker | PutProblem


class ObjectBatch(Struct, array_like=True):
    """Small objects in the order of the device, and what else is recorded between them."""

    all: list[Order] = msgspec.field(default_factory=list)
    content_bytes: int = 0

    @property
    def orders(self) -> int:
        """How many there are."""
        return len(self.all)

    def path_of(self, place: int) -> bytes:
        """The path of the order there."""
        order = self.all[place]
        return order.path if isinstance(order, PutProblem) else order.wanted.path

    def add(self, order: Order, size_bytes: int) -> None:
        """Put one order behind the others."""
        self.all.append(order)
        self.content_bytes += size_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeObject(LargeEntry):
    """An object that goes by chunks; `member` as in Fetch."""

    wanted: Wanted
    member: str = ""


class Restoring(Struct, frozen=True, array_like=True):
    """How archived objects are asked for."""

    days: int
    tier: str


@dataclass(frozen=True)
class BucketAddress:
    """Where a bucket is, and how requests are signed."""

    bucket: str
    endpoint_url: str | None = None
    profile: str | None = None
    region: str | None = None
    no_sign_request: bool = False


class FetchOptions(Struct, frozen=True, array_like=True):
    """What a fetcher must know of the job: the bucket, and how objects are packed.

    Attributes:
        prefix: what stands before the paths in the keys.
        bwlimit: the value of the option, for the bytes that come in.
        connections: how many requests at once.
        tags: auto, always or never.
        restoring: None: archived objects are only reported.
    """

    address: BucketAddress
    prefix: str
    bwlimit: str | None
    connections: int
    tags: str
    restoring: Restoring | None
    chunk_size_bytes: int
    small_limit_bytes: int
    level: int


class Greeting(Struct, array_like=True):
    """What a worker is told first: how to fetch, and where the memory is that it shares with the agent."""

    options: FetchOptions
    descriptor: int
    slot_bytes: int


class Task(Struct, array_like=True):
    """A batch, its number, and the slot that its frames go into."""

    number: int
    batch: ObjectBatch
    slot: int


class Answer(Struct, array_like=True):
    """What came of a batch, or the error that ends the job.

    Where the slot took the frames of the outcome, there are only their sizes here.
    """

    number: int
    outcome: Outcome | None
    in_slot: list[int]
    error: StoreTrouble | None = None


class StoreTrouble(Struct, frozen=True, array_like=True):
    """An error of the store that is none of a single object, by the name of its class."""

    kind: str
    what: str
    remedy: str = ""
