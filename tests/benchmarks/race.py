"""Programs at the same work in turns: round after round, each from a fresh target.

A first round warms the caches, checks that every program really did the work, and watches memory; it is not
timed. The timed rounds begin with another program each, so that none always comes after the same one. A
program that is missing or fails gets a note in place of figures, and the others go on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.places import empty
from tests.benchmarks.processes import Measured, ProgramError, measure
from tests.benchmarks.results import Cost, Entry, Kind


class NotDoneError(Exception):
    """A program ended well without having done its work."""


def _nothing(_target: Path) -> None:
    """Most programs need nothing but the empty folder, and some leave nothing to look at."""


@dataclass(frozen=True)
class Contender:
    """One program in a race.

    Attributes:
        name: in tables.
        command: given the target, an empty folder: program and arguments.
        env: given the target: its environment beyond ours.
        prepare: makes the target ready, outside the measured time.
        check: raises NotDoneError where the work was not done.
        missing: where the program is not there: what to install.
    """

    name: str
    command: Callable[[Path], list[str | Path]]
    kind: Kind = "peer"
    env: Callable[[Path], Mapping[str, str]] = lambda _target: {}
    prepare: Callable[[Path], None] = _nothing
    check: Callable[[Path], None] = _nothing
    missing: str = ""


@dataclass
class _Standing:
    contender: Contender
    costs: list[Cost] = field(default_factory=list)
    peak_bytes: int | None = None
    note: str = ""

    def entry(self) -> Entry:
        costs = [] if self.note else self.costs
        peak = None if self.note else self.peak_bytes
        return Entry(self.contender.name, self.contender.kind, costs, peak, self.note)


@dataclass(frozen=True)
class Race:
    """How it is run.

    Attributes:
        target: a folder that is made anew for every run.
        rounds: how many are timed.
        sync: sync the target's file system at the end of every run, within its time; and before it, outside.
        server_pid: the process all of them talk to.
    """

    target: Path
    rounds: int
    sync: bool = False
    server_pid: int | None = None

    def run(self, contenders: list[Contender]) -> list[Entry]:
        """An entry for each contender, in their order."""
        standings = [_Standing(contender, note=contender.missing) for contender in contenders]
        for standing in standings:
            self._warm_up(standing)
        for number in range(self.rounds):
            first = number % len(standings)
            for standing in standings[first:] + standings[:first]:
                self._time(standing)
            print(".", end="", file=sys.stderr, flush=True)
        return [standing.entry() for standing in standings]

    def _warm_up(self, standing: _Standing) -> None:
        measured = self._run(standing, watch_memory=True)
        if measured is None:
            return
        standing.peak_bytes = measured.peak_bytes or None  # shorter than a look
        try:
            standing.contender.check(self.target)
        except NotDoneError as error:
            self._rule_out(standing, str(error))

    def _time(self, standing: _Standing) -> None:
        measured = self._run(standing)
        if measured is not None:
            standing.costs.append(measured.cost)

    def _run(self, standing: _Standing, *, watch_memory: bool = False) -> Measured | None:
        if standing.note:
            return None
        empty(self.target)
        try:
            standing.contender.prepare(self.target)
            if self.sync:
                os.sync()  # nobody pays for what another left behind
            return measure(
                standing.contender.command(self.target),
                standing.contender.env(self.target),
                sync=self.target if self.sync else None,
                watch_memory=watch_memory,
                server_pid=self.server_pid,
            )
        except ProgramError as error:
            self._rule_out(standing, str(error))
            return None

    def _rule_out(self, standing: _Standing, why: str) -> None:
        standing.note = f"no figures: {why}"
        print(f"\n!! {standing.contender.name}: {why}", file=sys.stderr, flush=True)
