"""The bytes of an object in memory, given piece by piece as a network would give them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from transfer.stores.values import ObjectInfo

_PIECE_BYTES = 256 * 1024


class MemoryBody:
    """See `ObjectBody`."""

    def __init__(self, info: ObjectInfo, data: bytes) -> None:
        self.info = replace(info, metadata=replace(info.metadata, tags={}))
        self._data = data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for offset in range(0, len(self._data), _PIECE_BYTES):
            yield self._data[offset : offset + _PIECE_BYTES]
