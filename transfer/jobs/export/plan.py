"""What is to be done: what the bucket has, merged with what the device has, cut into batches and large
objects.

Both sides are sorted streams. An object is the same when size, ETag and the second of its last change are
those of the newest record; a version when its id is. What failed before and does so again for the same
reason is reported, not recorded again; what can be had again is stored again, as only a newer entry takes
the record of the failure away.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from transfer.core.names import FileAncestors
from transfer.jobs.export.finding import Finder
from transfer.jobs.export.known_keys import KnownKey, KnownKeys
from transfer.jobs.export.wanted import Group, Wanted
from transfer.jobs.export.work import Fetch, LargeObject, ObjectBatch, PutMarker, PutProblem
from transfer.jobs.filling.large_pieces import most_stored_bytes
from transfer.jobs.filling.outcome import Problem
from transfer.jobs.filling.work import Counts, Together
from transfer.stores.contract import ARCHIVE_CLASSES

ObjectWork = ObjectBatch | LargeObject | Together

_PER_VERSION_BYTES = 4096

NO_PATH = "it is named as the prefix itself, and so has no path; export it with a shorter prefix"
ARCHIVED = "its storage class is {}; whether it was restored is seen when it is fetched"


@dataclass(frozen=True)
class PlanRules:
    """How work is cut; `leaves`: what another device of the set has is left to that, even if it changed."""

    small_limit_bytes: int
    batch_size_bytes: int
    batch_entries: int
    leaves: bool = False


class ObjectPlan:
    """Turns what the bucket has into work.

    Args:
        rules: how it is cut.
        known: what the device has.
        names: of members in the tar stream.
        note: told the problems that need no record.
        only_counts: nothing is fetched: what is archived, by its class, is told instead.
    """

    def __init__(
        self,
        rules: PlanRules,
        known: KnownKeys,
        names: FileAncestors,
        note: Callable[[Problem], None],
        *,
        only_counts: bool,
    ) -> None:
        self.counts = Counts()
        self._rules = rules
        self._known = known
        self._names = names
        self._note = note
        self._only_counts = only_counts
        self._batch = ObjectBatch()
        self._group: Group | None = None
        self._group_path = b""
        self._keeps_together = False

    async def work(self, finder: Finder) -> AsyncGenerator[ObjectWork]:
        """All work, in path order."""
        found = finder.wanted()
        async with aclosing(found), aclosing(self._known):
            async for wanted in found:
                for item in await self._take(wanted):
                    yield item
        for item in self._cut():
            yield item
        self.counts.is_complete = True

    async def _take(self, wanted: Wanted) -> list[ObjectWork]:
        """What one object brings: mostly nothing, as it goes into the batch at hand."""
        if not wanted.path:
            if wanted.size_bytes > 0:
                self._note(Problem(b"/", "failed", "unreadable", NO_PATH))
            return []
        async for passed in self._known.before(wanted.path):
            self._remember(passed)
        known = await self._known.at(wanted.path)
        self.counts.entries += 1
        if wanted.group is not None:
            self._group, self._group_path = wanted.group, wanted.path
        if known.has(wanted):
            self._leave_out(wanted)
        if self._is_elsewhere(wanted, known):
            return []
        if wanted.reason:
            return self._trouble(wanted, known)
        if wanted.is_marker:
            return [] if known.has(wanted) else self._put(PutMarker(wanted), 0)
        is_folder = wanted.path.endswith(b"/") and not wanted.size_bytes
        member = self._names.member_name(wanted.path, is_folder=is_folder)
        self.counts.files += 1
        if known.has(wanted):
            self.counts.unchanged += 1
            return []
        return self._fetch(wanted, member, known)

    def _is_elsewhere(self, wanted: Wanted, known: KnownKey) -> bool:
        """Whether it is another device's, so that it is not stored twice."""
        other = known.elsewhere
        if other is None or other.newest is None:
            return False
        if other.has(wanted):
            self.counts.files += not wanted.is_marker
            self.counts.unchanged += not wanted.is_marker
            return True
        return self._rules.leaves and known.newest is None and not wanted.history

    def _remember(self, passed: KnownKey) -> None:
        """What only the device has: its name in the tar stream is taken."""
        if passed.is_file is not None:
            self._names.note(passed.path, is_folder=not passed.is_file)

    def _trouble(self, wanted: Wanted, known: KnownKey) -> list[ObjectWork]:
        if self._only_counts or known.reason == wanted.reason:
            self._note(Problem(wanted.path, "failed", wanted.reason, wanted.detail))
            return []
        return self._put(PutProblem(wanted.path, False, wanted.reason, wanted.detail), 0)

    def _fetch(self, wanted: Wanted, member: str, known: KnownKey) -> list[ObjectWork]:
        if self._only_counts and wanted.storage_class in ARCHIVE_CLASSES:
            self.counts.files -= 1
            self._note(Problem(wanted.path, "skipped", "archived", ARCHIVED.format(wanted.storage_class)))
            return []
        self.counts.bytes += wanted.size_bytes
        if wanted.size_bytes <= self._rules.small_limit_bytes:
            return self._put(Fetch(wanted, member, known.reason), wanted.size_bytes)
        large = LargeObject(wanted.path, wanted.size_bytes, known.reason, wanted=wanted, member=member)
        return [*self._begin_group(wanted.path), *self._cut(), large]

    def _put(self, order: Fetch | PutMarker | PutProblem, size_bytes: int) -> list[ObjectWork]:
        path = order.path if isinstance(order, PutProblem) else order.wanted.path
        before = self._begin_group(path)
        if not self._fits(1, size_bytes):
            before += self._cut()
        self._batch.add(order, size_bytes)
        return before

    def _fits(self, entries: int, size_bytes: int) -> bool:
        """Whether so much goes into the batch at hand."""
        rules, batch = self._rules, self._batch
        fits = batch.content_bytes + size_bytes <= rules.batch_size_bytes
        return not batch.orders or (fits and batch.orders + entries <= rules.batch_entries)

    def _leave_out(self, wanted: Wanted) -> None:
        """A version that the device has needs no room."""
        group = self._group
        if group is not None and self._group_path == wanted.path:
            size = max(0, wanted.size_bytes)
            self._group = Group(group.entries - 1, group.bytes - size, group.largest_bytes)

    def _begin_group(self, path: bytes) -> list[ObjectWork]:
        """What comes before the first of a key's versions that is to be stored, so that they stay together: a
        batch is not cut between them, or it is said how much room all of them need."""
        group, self._group = self._group, None
        if group is None or self._group_path != path:
            return []
        rules = self._rules
        in_batch = group.bytes <= rules.batch_size_bytes and group.entries <= rules.batch_entries
        if not in_batch or group.largest_bytes > rules.small_limit_bytes:
            return [
                *self._cut(),
                Together(
                    path,
                    most_stored_bytes(group.bytes, rules.small_limit_bytes)
                    + group.entries * _PER_VERSION_BYTES,
                ),
            ]
        cut = [] if self._fits(group.entries, group.bytes) else self._cut()
        self._keeps_together = True
        return cut

    def _cut(self) -> list[ObjectWork]:
        """The batch at hand; one with all versions of a key says how much room it needs."""
        batch, self._batch = self._batch, ObjectBatch()
        keeps_together, self._keeps_together = self._keeps_together, False
        if not batch.orders:
            return []
        if not keeps_together:
            return [batch]
        need = batch.content_bytes + (batch.orders + 1) * _PER_VERSION_BYTES
        return [Together(batch.path_of(0), need), batch]
