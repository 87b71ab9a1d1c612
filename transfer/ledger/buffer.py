"""What is still to be written: rows and steps, in the order they came. Pure.

Rows that follow each other are gathered by their kind, so that they can be written in one statement each; of
rows with the same primary key among them the last one stays. Any other step ends the gathering: nothing
overtakes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

from msgspec import Struct

from transfer.ledger.values import Upload


class RowKind(Enum):
    """Which table rows are of."""

    OBJECTS = "objects"
    PARTS = "parts"
    VERSIONS = "made_versions"


@dataclass(slots=True)
class Rows:
    """Rows of one table, by primary key."""

    kind: RowKind
    rows: dict[tuple[int, ...], tuple[Any, ...]] = field(default_factory=dict)


class UploadBegun(Struct, frozen=True):
    """A new upload."""

    upload: Upload


class UploadNamed(Struct, frozen=True):
    """The store has given an upload its id."""

    number: int
    upload_id: str


class UploadEnded(Struct, frozen=True):
    """An upload was completed or aborted."""

    number: int


class PackChecked(Struct, frozen=True):
    """A pack was read from its first byte to its last, and matched its digest."""

    job: int
    sequence: int
    checked: str


Step: TypeAlias = Rows | UploadBegun | UploadNamed | UploadEnded | PackChecked


class Batch:
    """Steps that are written in one transaction.

    Attributes:
        steps: in order.
        size: how many rows and steps were put in.
    """

    __slots__ = ("size", "steps")

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.size = 0

    def put_row(self, kind: RowKind, key: tuple[int, ...], row: tuple[Any, ...]) -> None:
        """Add a row; `key` is its primary key."""
        self._gathering(kind).rows[key] = row
        self.size += 1

    def _gathering(self, kind: RowKind) -> Rows:
        for step in reversed(self.steps):
            if not isinstance(step, Rows):
                break
            if step.kind is kind:
                return step
        gathering = Rows(kind)
        self.steps.append(gathering)
        return gathering

    def put_step(self, step: UploadBegun | UploadNamed | UploadEnded | PackChecked) -> None:
        """Add a step."""
        self.steps.append(step)
        self.size += 1
