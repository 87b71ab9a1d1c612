"""The phases of a job, and which may follow which: a table, no code. Pure.

A job that is killed stays in its phase; the next start goes on from there. `complete` means that every
entry is in the bucket or was knowingly left out; a job with entries that fell is `failed`, and may be taken
up again for them. A complete job may be taken up again too: then the bucket is compared with it anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Phase(StrEnum):
    """Where a job stands."""

    RECEIVED = "received"
    VERIFYING = "verifying"
    IMPORTING = "importing"
    COMPLETE = "complete"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    CANCELLED = "cancelled"


NEXT: Mapping[Phase, frozenset[Phase]] = {
    Phase.RECEIVED: frozenset(
        {Phase.VERIFYING, Phase.IMPORTING, Phase.FAILED, Phase.QUARANTINED, Phase.CANCELLED}
    ),
    Phase.VERIFYING: frozenset({Phase.IMPORTING, Phase.FAILED, Phase.QUARANTINED, Phase.CANCELLED}),
    Phase.IMPORTING: frozenset(
        {Phase.VERIFYING, Phase.COMPLETE, Phase.FAILED, Phase.QUARANTINED, Phase.CANCELLED}
    ),
    Phase.COMPLETE: frozenset({Phase.IMPORTING}),
    Phase.FAILED: frozenset({Phase.VERIFYING, Phase.IMPORTING, Phase.QUARANTINED, Phase.CANCELLED}),
    Phase.QUARANTINED: frozenset({Phase.RECEIVED, Phase.CANCELLED}),
    Phase.CANCELLED: frozenset({Phase.RECEIVED}),
}


def may_follow(before: Phase, after: Phase) -> bool:
    """Whether a job may go from one phase to another; staying where it is is always fine."""
    return after is before or after in NEXT[before]
