"""What is decided of a frame before it is read."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from transfer.core.records import Begin, File
from transfer.jobs.import_.links import LinkStates
from transfer.jobs.restore.judging import Verdict


@dataclass(slots=True)
class Goal:
    """A file that is to be written.

    Attributes:
        path: where.
        origin: path of its record, which a link stands in for, or which is a key.
        record: of it.
        links: of its device, and the run there: hard links are told if it cannot be written.
    """

    path: bytes
    origin: bytes
    record: File | Begin
    links: LinkStates
    run: int


@dataclass
class Target:
    """Where a file goes, and what becomes of it there.

    Attributes:
        there: what has the path.
    """

    path: bytes
    verdict: Verdict
    there: os.stat_result | None


@dataclass
class GroupWork:
    """What is to be done with a group.

    Attributes:
        files: small files, in order; their content lies in the frame.
        begins: the large file that begins here; None where it is not wanted.
        needs_chunk: the content of the frame's chunk is.
        concerns_large: so are the group's records, of a large file.
    """

    files: list[Goal] = field(default_factory=list)
    begins: Goal | None = None
    needs_chunk: bool = False
    concerns_large: bool = False
