"""A worker process of restore: batches of small files come in on stdin, what became of them goes out on
stdout.

The stored frame lies in memory that is shared with the agent. The directory is a descriptor that is
inherited, and with it the lock: so no other restore begins there before the last worker has ended, however
the agent ended.
"""

from __future__ import annotations

from typing import IO

import msgspec
from msgspec import Struct

from transfer.jobs.restore.if_exists import IfExists
from transfer.jobs.restore.small import SmallBatch, SmallWriter
from transfer.jobs.restore.tree import PartialNames, Tree
from transfer.jobs.workers.messages import receive, send
from transfer.jobs.workers.serving import pipes
from transfer.jobs.workers.slots import NO_SLOT, WorkerSlots


class Greeting(Struct, array_like=True):
    """What a worker is told first."""

    directory: int
    mark: str
    writer: int
    if_exists: str
    sets_owner: bool
    sums: bool
    folder_mode: int
    slots: int
    slot_bytes: int


class Task(Struct, array_like=True):
    """A batch; its frame lies in the slot, or comes along where there is none."""

    batch: SmallBatch
    slot: int
    stored_bytes: int
    stored: bytes = b""


def main() -> None:
    """Serve batches until stdin ends."""
    with pipes() as (incoming, outgoing):
        _serve(incoming, outgoing)


def _serve(incoming: IO[bytes], outgoing: IO[bytes]) -> None:
    first = receive(incoming)
    if first is None:
        return
    greeting = msgspec.msgpack.decode(first, type=Greeting)
    policy = IfExists(greeting.if_exists)
    tree = Tree(
        greeting.directory, makes=True, replaces=policy is IfExists.OVERWRITE, mode=greeting.folder_mode
    )
    names = PartialNames(greeting.mark, greeting.writer)
    writer = SmallWriter(tree, names, policy, sets_owner=greeting.sets_owner, sums=greeting.sums)
    slots = WorkerSlots(greeting.slots, greeting.slot_bytes)
    decoder, encoder = msgspec.msgpack.Decoder(Task), msgspec.msgpack.Encoder()
    while (message := receive(incoming)) is not None:
        task = decoder.decode(message)
        stored = slots.contents(task.slot, task.stored_bytes) if task.slot != NO_SLOT else task.stored
        send(outgoing, encoder.encode(writer.write(task.batch, stored)))
