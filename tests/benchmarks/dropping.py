"""`transfer` with a ledger that forgets: `python -m tests.benchmarks.dropping yes|no ARGUMENTS...`.

With `no`, it is `transfer` as it is, started in the same way. With `yes`, the ledger is opened and asked as
ever, but nothing that happens to objects is recorded: what is left of the time is the import's own.
"""

from __future__ import annotations

import sys
from itertools import count
from typing import Any

from transfer.cli.app import run
from transfer.ledger.recorder import Recorder
from transfer.ledger.values import Upload

_numbers = count(1)


async def _drop(self: Recorder, *told: Any) -> None:
    """Record nothing."""


async def _begin(self: Recorder, job: int, key: str, **told: int) -> Upload:
    return Upload(next(_numbers), job, key, "", begun="2026-01-01T00:00:00Z", **told)


def forget() -> None:
    """Make every recorder of this process forget."""
    for name in ("object", "part", "pack_checked", "name_upload", "end_upload"):
        setattr(Recorder, name, _drop)
    Recorder.begin_upload = _begin  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    if sys.argv[1] == "yes":
        forget()
    sys.exit(run(sys.argv[2:]))
