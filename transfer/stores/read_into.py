"""Bytes of an object put straight into memory, where the store can do that; else copied there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from transfer.errors import StoreError
from transfer.stores.contract import ObjectBody

ReceiveInto = Callable[[memoryview], Awaitable[int]]


async def read_into(body: ObjectBody, place: memoryview) -> int:
    """All bytes of a body, put there; how many there were.

    Raises:
        StoreError: it broke off, or has more than there is room for.
    """
    whole: ReceiveInto | None = getattr(body, "read_into", None)
    if whole is not None:
        return await whole(place)
    total = 0
    async with aclosing(arriving(body, place)) as counts:
        async for count in counts:
            total += count
    return total


async def arriving(body: ObjectBody, place: memoryview) -> AsyncGenerator[int]:
    """How many bytes were put there since the last time, up to the end of the body.

    Raises:
        StoreError: as `read_into`.
    """
    receive: ReceiveInto | None = getattr(body, "receive_into", None)
    if receive is None:
        async for piece in body:
            if len(piece) > len(place):
                raise _too_much(body)
            place[: len(piece)] = piece
            place = place[len(piece) :]
            yield len(piece)
        return
    while len(place) and (count := await receive(place)):
        place = place[count:]
        yield count
    if not len(place) and await receive(memoryview(bytearray(1))):
        raise _too_much(body)


def _too_much(body: ObjectBody) -> StoreError:
    return StoreError(f"{body.info.key!r}: the store gave more bytes than it was asked for")
