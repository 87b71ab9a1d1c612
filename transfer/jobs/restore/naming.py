"""Which names the directory takes, and so where entries go."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from transfer.core.names.facts import rules_for
from transfer.core.names.rules import MACOS, POSIX, WINDOWS, Rules
from transfer.device.path_table import PathTable
from transfer.jobs.import_.arrival import Arrival
from transfer.jobs.restore.options import RestoreOptions
from transfer.jobs.restore.places import KEPT, MappedPlaces, Places, kept_posix
from transfer.jobs.restore.probing import facts_of
from transfer.jobs.restore.tree import PartialNames
from transfer.jobs.restore.units import units_of

_RULES = {"posix": POSIX, "windows": WINDOWS, "macos": MACOS}
_PROBER = 252


def places_of(
    arrivals: Sequence[Arrival],
    descriptor: int,
    mark: str,
    options: RestoreOptions,
    stack: ExitStack,
) -> Places:
    """Where entries go; the manifest is looked through where names may have to be others.

    Args:
        arrivals: the devices.
        descriptor: of the directory.
        mark: of the job.
        options: of the restore.
        stack: closes what is opened for that.
    """
    rules = _rules(descriptor, mark, options)
    has_keys = any(header.keys for arrival in arrivals for header in arrival.manifest.headers)
    if rules == kept_posix() and not has_keys:
        return Places()
    return MappedPlaces(rules, stack.enter_context(PathTable()), units_of(arrivals, lambda header: True))


def _rules(descriptor: int, mark: str, options: RestoreOptions) -> Rules:
    rules = _RULES.get(options.names)
    if rules is None:
        try:
            rules = rules_for(facts_of(descriptor, PartialNames(mark, _PROBER).new()))
        except OSError:  # nothing can be made there, as whoever writes will tell
            rules = POSIX
    return replace(rules, kept=KEPT, unicode_only=rules.unicode_only or options.bag is not None)
