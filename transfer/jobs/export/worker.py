"""A worker process of export: batches come in on stdin, outcomes go out on stdout, as MessagePack.

It has its own event loop and its own connections to the bucket, and works on several batches at once, so
that the connections are busy while one is packed. Frames do not go through stdout, but wait in memory
that it shares with the agent. It ends by itself when the agent's end of the pipe closes, however the
agent died.
"""

from __future__ import annotations

import asyncio
from typing import IO

import msgspec
from msgspec.structs import replace

from transfer.errors import TransferError
from transfer.formats.frames import FrameCompressor
from transfer.jobs.export.fetching import Fetcher
from transfer.jobs.export.opening import fetcher_of, open_bucket
from transfer.jobs.export.packing import ObjectPacker
from transfer.jobs.export.trouble import told, unexpected
from transfer.jobs.export.work import Answer, Fetch, FetchOptions, Greeting, ObjectBatch, Task
from transfer.jobs.filling.outcome import Outcome
from transfer.jobs.workers.messages import LENGTH, send
from transfer.jobs.workers.serving import pipes
from transfer.jobs.workers.slots import WorkerSlots

_IN_SLOT = memoryview(b"")


def main() -> None:
    """Serve batches until stdin ends."""
    with pipes() as (incoming, outgoing):
        asyncio.run(_serve(incoming, outgoing))


async def _serve(incoming: IO[bytes], outgoing: IO[bytes]) -> None:
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), incoming)
    first = await _receive(reader)
    if first is None:
        return
    greeting = msgspec.msgpack.decode(first, type=Greeting)
    slots = WorkerSlots(greeting.descriptor, greeting.slot_bytes)
    options = greeting.options
    store = await open_bucket(options.address, bwlimit=options.bwlimit, connections=options.connections)
    decoder = msgspec.msgpack.Decoder(Task)
    work = BatchWork(fetcher_of(store, options), options)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(task: Task) -> None:
        answer = await work.answer(task, slots)
        send(outgoing, msgspec.msgpack.encode(answer))

    try:
        while (message := await _receive(reader)) is not None:
            running = asyncio.create_task(serve(decoder.decode(message)))
            tasks.add(running)
            running.add_done_callback(tasks.discard)
    finally:
        for running in tasks:
            running.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await work.aclose()
        await store.aclose()


async def _receive(reader: asyncio.StreamReader) -> bytes | None:
    """One message; None at the end of the stream."""
    try:
        size = LENGTH.unpack(await reader.readexactly(LENGTH.size))[0]
        return await reader.readexactly(size)
    except asyncio.IncompleteReadError:
        return None


class BatchWork:
    """What a worker does with its batches."""

    def __init__(self, fetcher: Fetcher, options: FetchOptions) -> None:
        self._fetcher = fetcher
        self._options = options
        self._compressor = FrameCompressor(options.level)

    async def answer(self, task: Task, slots: WorkerSlots) -> Answer:
        """A batch carried out, with its frames in the slot if they fit there."""
        try:
            outcome = await self.pack(task.batch)
        except TransferError as error:
            return Answer(task.number, None, [], told(error))
        except Exception as error:  # the agent waits for an answer, whatever happens here
            return Answer(task.number, None, [], unexpected(error))
        frames = [piece.stored for piece in outcome.pieces]
        if not slots.put(task.slot, frames):
            return Answer(task.number, outcome, [])
        outcome.pieces = [replace(piece, stored=_IN_SLOT) for piece in outcome.pieces]
        return Answer(task.number, outcome, list(map(len, frames)))

    async def aclose(self) -> None:
        """Fetch nothing more."""
        await self._fetcher.aclose()

    async def pack(self, batch: ObjectBatch) -> Outcome:
        """The frames and records of a batch, whose objects are fetched many at once."""
        fetching = {
            number: self._fetcher.fetch(order)
            for number, order in enumerate(batch.all)
            if isinstance(order, Fetch)
        }
        packer = ObjectPacker(self._compressor, self._options.chunk_size_bytes)
        try:
            for number, order in enumerate(batch.all):
                if isinstance(order, Fetch):
                    packer.take_object(order, await fetching.pop(number))
                else:
                    packer.take_other(order)
        finally:
            for left in fetching.values():
                left.cancel()
            await asyncio.gather(*fetching.values(), return_exceptions=True)
        return packer.finish()
