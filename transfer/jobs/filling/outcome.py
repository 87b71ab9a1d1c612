"""What came of a piece of work: pieces for the writer, and what a person must be told. From worker processes
it comes as MessagePack.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from msgspec import Struct

from transfer.device.open_pack import Piece

Value = TypeVar("Value")

CHANGED = "it changed under every attempt to read it; kept as it was read last"
XATTRS_OMITTED = "its extended attributes could not be kept"


class Problem(Struct, frozen=True, array_like=True):
    """What a person must be told about one path.

    kind: skipped, failed, changed, xattrs, again (recorded as failed; another pass will read it), or anew
    (begun once more; what was stored of it before is of no use).
    """

    path: bytes
    kind: str
    reason: str
    detail: str = ""


class Outcome(Struct, array_like=True):
    """What came of a batch or of a piece of a large entry.

    `link_targets` are the files that the hard links in it rely on; `stored_anew` files whose content is no
    longer the one that was known. `slot` says where the frames lie, to the side that they are given back to.
    """

    pieces: list[Piece]
    problems: list[Problem] = msgspec.field(default_factory=list)
    files: int = 0
    unchanged: int = 0
    link_targets: list[bytes] = msgspec.field(default_factory=list)
    stored_anew: list[bytes] = msgspec.field(default_factory=list)
    slot: int = -1


Pending = Callable[[], Awaitable[Outcome]]
"""An outcome on its way. Whoever takes it awaits one after the other, in order."""


def ready(outcome: Outcome) -> Pending:
    """An outcome that is there already."""
    return lambda: value(outcome)


async def value(of: Value) -> Value:
    """What is there already, for who awaits it."""
    return of
