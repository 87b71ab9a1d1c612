"""What passes between plan and packers: orders to read. It crosses pipes as
MessagePack; frames that come back wait in shared memory (`slots`), or are views of the message that brought
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import msgspec
from msgspec import Struct

from transfer.jobs.filling.outcome import Outcome
from transfer.jobs.filling.work import LargeEntry, Work

Stat = tuple[int, int, int, int]
"""mode (type bits cut), mtime_ns, uid, gid."""


class ReadFile(Struct, frozen=True, array_like=True, tag=True):
    """Read a small file.

    `known_blake3` is the digest that the device has, when only a difference counts; `known_reason` why it
    failed
    before: the same failure is reported but not recorded again.
    """

    name: bytes
    known_blake3: str = ""
    known_reason: str = ""


class PutDirectory(Struct, frozen=True, array_like=True, tag=True):
    """Record a folder."""

    name: bytes
    status: Stat


class ReadLink(Struct, frozen=True, array_like=True, tag=True):
    """Read a symbolic link."""

    name: bytes
    status: Stat


class PutHardlink(Struct, frozen=True, array_like=True, tag=True):
    """Record one more name of `target`."""

    name: bytes
    status: Stat
    size_bytes: int
    target: bytes
    inode: int
    volume: int


class PutRemoved(Struct, frozen=True, array_like=True, tag=True):
    """Record that older entries of this path are void."""

    name: bytes


class PutProblem(Struct, frozen=True, array_like=True, tag=True):
    """Record what was skipped or failed before it came to reading."""

    name: bytes
    skipped: bool
    reason: str
    detail: str = ""


Order = ReadFile | PutDirectory | ReadLink | PutHardlink | PutRemoved | PutProblem


class Batch(Struct, array_like=True):
    """Small entries in path order, grouped by folder: (folder path, orders)."""

    groups: list[tuple[bytes, list[Order]]] = msgspec.field(default_factory=list)
    orders: int = 0
    content_bytes: int = 0

    def add(self, folder: bytes, order: Order, size_bytes: int) -> None:
        """Put one order behind the others."""
        if not self.groups or self.groups[-1][0] != folder:
            self.groups.append((folder, []))
        self.groups[-1][1].append(order)
        self.orders += 1
        self.content_bytes += size_bytes

    def all(self) -> Iterator[tuple[bytes, Order]]:
        """Every order with its folder."""
        return ((folder, order) for folder, orders in self.groups for order in orders)

    def without_links_to(self, targets: set[bytes]) -> Batch:
        """The same batch, but further names of these targets are read by themselves."""
        changed = Batch()
        for folder, order in self.all():
            is_orphan = isinstance(order, PutHardlink) and order.target in targets
            changed.add(folder, ReadFile(order.name) if is_orphan else order, 0)
        return changed


@dataclass(frozen=True, slots=True)
class LargeFile(LargeEntry):
    """A file that goes by chunks; `known_blake3` as in ReadFile."""

    known_blake3: str = ""


def first_path(work: Work) -> bytes:
    """The first path of a batch; that of a large file."""
    if isinstance(work, LargeEntry):
        return work.path
    folder, orders = cast(Batch, work).groups[0]
    return folder + orders[0].name


def last_path(work: Work) -> bytes:
    """The last path of a batch; that of a large file."""
    if isinstance(work, LargeEntry):
        return work.path
    folder, orders = cast(Batch, work).groups[-1]
    return folder + orders[-1].name


@dataclass(frozen=True)
class PackingOptions:
    """What a packer must know of the job."""

    source: bytes
    chunk_size_bytes: int
    small_limit_bytes: int
    level: int
    follow_links: bool
    xattrs: bool


class Greeting(Struct, array_like=True):
    """What a worker is told first: how to pack, and where the memory is that it shares with the agent."""

    options: PackingOptions
    descriptor: int
    slot_bytes: int


class Task(Struct, array_like=True):
    """A batch, and the slot that its frames go into."""

    batch: Batch
    slot: int


class Answer(Struct, array_like=True):
    """What came of a batch. Where the slot took its frames, there are only their sizes here."""

    outcome: Outcome
    in_slot: list[int]
