"""A worker process of copy: batches come in on stdin, outcomes go out on stdout, MessagePack behind an
eight-byte length.

Started as a program of its own, so that it shares no lock, no descriptor and no thread with the agent, and
ends by itself when the agent's end of the pipe closes, however the agent died.
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
from typing import IO

import msgspec

from transfer.jobs.copy.packing import Packer, PackingOptions
from transfer.jobs.copy.work import Batch

LENGTH = struct.Struct(">Q")


def send(stream: IO[bytes], message: bytes | bytearray) -> None:
    """Write one message to an unbuffered stream, which may take it in parts."""
    for part in (LENGTH.pack(len(message)), message):
        view = memoryview(part)
        while view:
            view = view[stream.write(view) :]


def receive(stream: IO[bytes]) -> bytearray | None:
    """Read one message; None at the end of the stream."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    message = bytearray(LENGTH.unpack(head)[0])
    view, got = memoryview(message), 0
    while got < len(message):
        count = stream.readinto(view[got:])  # type: ignore[attr-defined]
        if not count:
            return None
        got += count
    return message


def main() -> None:
    """Serve batches until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the agent decides what an interrupt means
    incoming = os.fdopen(os.dup(0), "rb", buffering=0)
    outgoing = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # nothing may print into the stream
    with incoming, outgoing, contextlib.suppress(BrokenPipeError):  # the agent is gone: nobody to tell
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
