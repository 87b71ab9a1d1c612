"""How agent and worker processes talk: messages behind an eight-byte length, over unbuffered pipes."""

from __future__ import annotations

import struct
from typing import IO

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
