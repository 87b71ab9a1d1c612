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
from transfer.jobs.export.wanted import Wanted
from transfer.jobs.export.work import Fetch, LargeObject, ObjectBatch, PutMarker, PutProblem
from transfer.jobs.filling.outcome import Problem
from transfer.jobs.filling.work import Counts
from transfer.stores.contract import ARCHIVE_CLASSES

ObjectWork = ObjectBatch | LargeObject

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

    async def work(self, finder: Finder) -> AsyncGenerator[ObjectWork]:
        """All work, in path order."""
        found = finder.wanted()
        async with aclosing(found), aclosing(self._known):
            async for wanted in found:
                for item in await self._take(wanted):
                    yield item
        if self._batch.orders:
            yield self._cut()
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
        before: list[ObjectWork] = [self._cut()] if self._batch.orders else []
        large = LargeObject(wanted.path, wanted.size_bytes, known.reason, wanted=wanted, member=member)
        return [*before, large]

    def _put(self, order: Fetch | PutMarker | PutProblem, size_bytes: int) -> list[ObjectWork]:
        rules, batch = self._rules, self._batch
        is_full = batch.orders >= rules.batch_entries
        cut: list[ObjectWork] = []
        if batch.orders and (is_full or batch.content_bytes + size_bytes > rules.batch_size_bytes):
            cut = [self._cut()]
        self._batch.add(order, size_bytes)
        return cut

    def _cut(self) -> ObjectBatch:
        batch, self._batch = self._batch, ObjectBatch()
        return batch
