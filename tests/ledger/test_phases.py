"""The table of phases."""

from __future__ import annotations

from itertools import product

import pytest

from transfer.ledger.phases import NEXT, Phase, may_follow


def test_every_phase_is_in_the_table_and_may_stay() -> None:
    assert set(NEXT) == set(Phase)
    assert all(may_follow(phase, phase) for phase in Phase)


def test_every_phase_can_be_reached_from_every_other() -> None:
    reachable = {phase: {phase} | NEXT[phase] for phase in Phase}
    for middle, start, end in product(Phase, repeat=3):
        if middle in reachable[start] and end in reachable[middle]:
            reachable[start].add(end)
    assert all(found == set(Phase) for found in reachable.values())


def test_what_is_complete_can_only_be_imported_again() -> None:
    assert NEXT[Phase.COMPLETE] == {Phase.IMPORTING}


def test_only_an_import_under_way_completes() -> None:
    assert [phase for phase in Phase if Phase.COMPLETE in NEXT[phase]] == [Phase.IMPORTING]


@pytest.mark.parametrize("phase", [Phase.QUARANTINED, Phase.CANCELLED])
def test_what_was_stopped_begins_at_the_door(phase: Phase) -> None:
    assert NEXT[phase] - {Phase.CANCELLED} == {Phase.RECEIVED}
