"""The versions of a key go to the store one after the other, in their order: each waits for its turn.

A version that the store did not take holds back the newer ones of its key: under them it could never be put.
One that the device has lost, or that cannot go at all, does not: nothing is gained by waiting for it.
"""

from __future__ import annotations

import asyncio

from transfer.device.path_table import PathTable
from transfer.errors import TransferError

_HELD_BACK = b"b\0"  # a kind of rows, which the table shares with others (`links`)


class Turn:
    """That of one version. `end` is to be called, however it ends; more than once does no harm."""

    def __init__(self, turns: Turns, key: str, before: Turn | None) -> None:
        self._turns = turns
        self._key = key
        self._before = before
        self._ended = asyncio.Event()

    async def wait(self) -> None:
        """Wait until all older versions are settled.

        Raises:
            TransferError: one of them could not be written.
        """
        if self._before is not None:
            await self._before.ended()
            self._before = None
        self._turns.refuse_if_held_back(self._key)

    async def ended(self) -> None:
        """Wait until it is over."""
        await self._ended.wait()

    def hold_back(self, reason: str) -> None:
        """It could not be written, so newer ones must not be either."""
        self._turns.hold_back(self._key, reason)

    def end(self) -> None:
        """It is settled."""
        self._ended.set()
        self._turns.forget(self)


class Turns:
    """The turns of one import; a key's versions come one behind the other in each run.

    Args:
        table: remembers which keys are held back.
    """

    def __init__(self, table: PathTable) -> None:
        self._table = table
        self._any_held_back = False
        self._key = ""
        self._last: Turn | None = None
        self._open: set[Turn] = set()

    def next(self, key: str) -> Turn:
        """The turn of the next version of a key."""
        turn = Turn(self, key, self._last if key == self._key else None)
        self._key, self._last = key, turn
        self._open.add(turn)
        return turn

    async def all_ended(self) -> None:
        """Wait until nothing is under way."""
        for turn in list(self._open):
            await turn.ended()
        self._key, self._last = "", None

    def forget(self, turn: Turn) -> None:
        """A turn is over."""
        self._open.discard(turn)

    def hold_back(self, key: str, reason: str) -> None:
        """No newer version of this key is to be written; the first reason stays."""
        row = _HELD_BACK + key.encode()
        if self._table.get(row) is None:
            self._table.put(row, reason)
        self._any_held_back = True

    def refuse_if_held_back(self, key: str) -> None:
        """Raise TransferError where an older version of a key could not be written."""
        if self._any_held_back and (reason := self._table.get(_HELD_BACK + key.encode())) is not None:
            what = f"an older version of it could not be written ({reason})"
            raise TransferError(what, remedy="give the command again")
