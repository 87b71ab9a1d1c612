"""A worker process of copy: batches come in on stdin, outcomes go out on stdout, as MessagePack.

Started as a program of its own, so that it shares no lock, no descriptor and no thread with the agent, and
ends by itself when the agent's end of the pipe closes, however the agent died.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import IO

import msgspec

from transfer.device.allocation import keep_large_blocks
from transfer.device.garbage import collecting_rarely
from transfer.jobs.copy.messages import receive, send
from transfer.jobs.copy.packing import Packer, PackingOptions
from transfer.jobs.copy.work import Batch


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
    packer = Packer(msgspec.msgpack.decode(first, type=PackingOptions))
    decoder = msgspec.msgpack.Decoder(Batch)
    encoder = msgspec.msgpack.Encoder()
    answer = bytearray()
    while (message := receive(incoming)) is not None:
        encoder.encode_into(packer.pack(decoder.decode(message)), answer)
        send(outgoing, answer)
