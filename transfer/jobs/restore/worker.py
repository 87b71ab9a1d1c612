"""A worker process of restore: batches of small files come in on stdin, what became of them goes out on
stdout.

The stored frame lies in memory that is shared with the agent. The directory is a descriptor that is
inherited, and with it the lock: so no other restore begins there before the last worker has ended, however
the agent ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import IO

import msgspec
from msgspec import Struct

from transfer.device.allocation import keep_large_blocks
from transfer.device.garbage import collecting_rarely
from transfer.jobs.copy.messages import receive, send
from transfer.jobs.copy.slots import NO_SLOT, WorkerSlots
from transfer.jobs.restore.if_exists import IfExists
from transfer.jobs.restore.small import SmallBatch, SmallWriter
from transfer.jobs.restore.tree import PartialNames, Tree


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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the agent decides what an interrupt means
    incoming = os.fdopen(os.dup(0), "rb", buffering=0)
    outgoing = os.fdopen(os.dup(1), "wb", buffering=0)
    keep_large_blocks()
    os.dup2(2, 1)  # nothing may print into the stream
    gone = contextlib.suppress(BrokenPipeError)  # the agent is gone: nobody to tell
    with incoming, outgoing, collecting_rarely(), gone:
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
