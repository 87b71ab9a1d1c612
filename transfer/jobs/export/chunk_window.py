"""The chunks of one object by ranged requests, several under way at once, given in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import NamedTuple

from transfer.errors import PreconditionError, StoreError
from transfer.jobs.filling.chunks import ChunkCoder
from transfer.stores.contract import ObjectInfo, Store
from transfer.stores.read_into import read_into


class FetchedChunk(NamedTuple):
    """The content of one chunk, and the buffer that it lies in."""

    content: memoryview
    buffer: bytearray


class ChunkWindow:
    """Fetches the chunks of one state of an object.

    Args:
        store: of the bucket.
        info: the object; chunks are only taken while it still has this ETag.
        version_id: which version; None: the current one.
        coder: whose buffers are filled.
        at_once: asked for how many requests may be under way; fewer than the coder has room for.
    """

    def __init__(
        self,
        store: Store,
        info: ObjectInfo,
        version_id: str | None,
        coder: ChunkCoder,
        at_once: Callable[[], int],
    ) -> None:
        self._store = store
        self._info = info
        self._version_id = version_id
        self._coder = coder
        self._at_once = at_once

    async def chunks(self, offset: int) -> AsyncGenerator[FetchedChunk]:
        """The chunks from `offset` on; whoever takes one gives its buffer back to the coder, or has it coded.

        Raises:
            PreconditionError: the object is another by now.
            TransferError: the store does not give it.
        """
        asked: deque[tuple[bytearray, asyncio.Future[memoryview]]] = deque()
        size = self._info.size_bytes
        try:
            while offset < size or asked:
                while offset < size and len(asked) < self._at_once():
                    buffer = await self._coder.buffer()
                    content = memoryview(buffer)[: min(self._coder.chunk_size_bytes, size - offset)]
                    asked.append((buffer, asyncio.ensure_future(self._fetch(content, offset))))
                    offset += len(content)
                content = await asked[0][1]
                yield FetchedChunk(content, asked.popleft()[0])
        finally:
            for _, left in asked:
                left.cancel()
            await asyncio.gather(*(left for _, left in asked), return_exceptions=True)
            for buffer, _ in asked:
                self._coder.give_back(buffer)

    async def _fetch(self, content: memoryview, offset: int) -> memoryview:
        """Fill `content` with the object's bytes from `offset` on."""
        info = self._info
        async with self._store.get(
            info.key,
            version_id=self._version_id,
            offset_bytes=offset,
            length_bytes=len(content),
            if_match=info.etag or None,
        ) as body:
            if (body.info.etag, body.info.size_bytes) != (info.etag, info.size_bytes):
                raise PreconditionError(f"{info.key!r} was changed", status=412)
            done = await read_into(body, content)
        if done != len(content):
            raise StoreError(f"{info.key!r}: the store gave another number of bytes than it was asked for")
        return content
