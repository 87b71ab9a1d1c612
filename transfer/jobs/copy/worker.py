"""A worker process of copy: batches come in on stdin, outcomes go out on stdout, as MessagePack.

Frames do not go through stdout, but wait in memory that it shares with the agent (`slots`). Beyond that
nothing is shared: started as a program of its own, it has no lock and no thread in common with the agent, and
ends by itself when the agent's end of the pipe closes, however the agent died.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import IO

import msgspec
from msgspec.structs import replace

from transfer.device.allocation import keep_large_blocks
from transfer.device.garbage import collecting_rarely
from transfer.jobs.copy.messages import receive, send
from transfer.jobs.copy.packing import Packer
from transfer.jobs.copy.slots import WorkerSlots
from transfer.jobs.copy.work import Answer, Greeting, Task
from transfer.jobs.filling.outcome import Outcome

_IN_SLOT = memoryview(b"")


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
