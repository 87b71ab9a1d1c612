"""Memory that the agent shares with its worker processes: frames wait there for the writer, instead of going
through a pipe.

It is one nameless file in memory (memfd_create(2)), cut into slots. The agent alone gives slots out, one with
each batch. The worker puts the batch's frames there before it answers, and touches the slot no more; from
then on only the agent reads, until the writer has taken the frames and the slot is free. So nobody waits for
a lock, and a worker that dies costs nothing but the slot it had. The kernel frees the file with the last
process that has it, however these end. A page takes memory only once it was written.

Frames go through the pipe after all where the system has no such files, when all slots are taken, and when
they do not go into one.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterable, Iterator, Sequence

NO_SLOT = -1


class Slots:
    """The agent's side. Slots are taken in any thread, and given back in any."""

    def __init__(self) -> None:
        self.descriptor = -1
        self.slot_bytes = 0
        self._memory = memoryview(b"")
        self._free: list[int] = []
        with contextlib.suppress(AttributeError, OSError):
            self.descriptor = os.memfd_create("transfer")

    def lay_out(self, count: int, slot_bytes: int) -> None:
        """Make `count` slots; where that cannot be, there are none."""
        with contextlib.suppress(OSError):
            os.ftruncate(self.descriptor, count * slot_bytes)
            self._memory = memoryview(mmap.mmap(self.descriptor, count * slot_bytes))
            self.slot_bytes = slot_bytes
            self._free = list(range(count))

    def take(self) -> int:
        """The slot that was given back last, which is likely in the processor's cache; NO_SLOT for none."""
        try:
            return self._free.pop()
        except IndexError:
            return NO_SLOT

    def contents(self, slot: int, sizes: Iterable[int]) -> Iterator[memoryview]:
        """What lies in a slot, one behind the other, without a copy; good until the slot is given back."""
        start = slot * self.slot_bytes
        for size in sizes:
            yield self._memory[start : start + size]
            start += size

    def put(self, content: bytes) -> int:
        """Take a slot for what a worker is to read; NO_SLOT where there is none, or no room in it."""
        slot = self.take() if len(content) <= self.slot_bytes else NO_SLOT
        if slot != NO_SLOT:
            start = slot * self.slot_bytes
            self._memory[start : start + len(content)] = content
        return slot

    def give_back(self, slot: int) -> None:
        """Nobody reads it any more."""
        if slot != NO_SLOT:
            self._free.append(slot)

    def close(self) -> None:
        """Let go of the memory, as soon as nobody reads it any more; may be called again."""
        self._free, self._memory = [], memoryview(b"")
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class WorkerSlots:
    """A worker's side.

    Args:
        descriptor: of the shared file.
        slot_bytes: the size of a slot; 0 where there are none.
    """

    def __init__(self, descriptor: int, slot_bytes: int) -> None:
        self._slot_bytes = slot_bytes
        self._memory = memoryview(b"")
        if slot_bytes:
            with contextlib.suppress(OSError):
                self._memory = memoryview(mmap.mmap(descriptor, 0))

    def put(self, slot: int, contents: Sequence[memoryview]) -> bool:
        """Write these one behind the other, if there is a slot and room for all of them; whether that was
        done."""
        if slot == NO_SLOT or not self._memory or sum(map(len, contents)) > self._slot_bytes:
            return False
        start = slot * self._slot_bytes
        for content in contents:
            self._memory[start : start + len(content)] = content
            start += len(content)
        return True

    def contents(self, slot: int, size: int) -> memoryview:
        """What the agent put into a slot."""
        start = slot * self._slot_bytes
        return self._memory[start : start + size]
