"""A worker process of copy: batches come in on stdin, outcomes go out on stdout, as MessagePack.

Frames do not go through stdout, but wait in memory that it shares with the agent (`slots`). Beyond that
nothing is shared: started as a program of its own, it has no lock and no thread in common with the agent, and
ends by itself when the agent's end of the pipe closes, however the agent died.
"""

from __future__ import annotations

from typing import IO

import msgspec
from msgspec.structs import replace

from transfer.jobs.copy.packing import Packer
from transfer.jobs.copy.work import Answer, Greeting, Task
from transfer.jobs.filling.outcome import Outcome
from transfer.jobs.workers.messages import receive, send
from transfer.jobs.workers.serving import pipes
from transfer.jobs.workers.slots import WorkerSlots

_IN_SLOT = memoryview(b"")


def main() -> None:
    """Serve batches until stdin ends."""
    with pipes() as (incoming, outgoing):
        _serve(incoming, outgoing)


def _serve(incoming: IO[bytes], outgoing: IO[bytes]) -> None:
    first = receive(incoming)
    if first is None:
        return
    greeting = msgspec.msgpack.decode(first, type=Greeting)
    packer = Packer(greeting.options)
    slots = WorkerSlots(greeting.descriptor, greeting.slot_bytes)
    decoder = msgspec.msgpack.Decoder(Task)
    encoder = msgspec.msgpack.Encoder()
    answer = bytearray()
    while (message := receive(incoming)) is not None:
        task = decoder.decode(message)
        encoder.encode_into(_answer(packer.pack(task.batch), task.slot, slots), answer)
        send(outgoing, answer)


def _answer(outcome: Outcome, slot: int, slots: WorkerSlots) -> Answer:
    frames = [piece.stored for piece in outcome.pieces]
    if not slots.put(slot, frames):
        return Answer(outcome, [])
    outcome.pieces = [replace(piece, stored=_IN_SLOT) for piece in outcome.pieces]
    return Answer(outcome, list(map(len, frames)))
