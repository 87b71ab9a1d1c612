"""What a restore does when its devices were looked at: files unit by unit, links, folders, lists."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial

import msgspec

from transfer.core.merge import SpottedRecord, merge_runs
from transfer.core.records import Header
from transfer.core.stream_rules import StreamRules
from transfer.device.frame_stream import frame_groups
from transfer.device.path_table import PathTable
from transfer.errors import IntegrityError
from transfer.formats.frames import FRAME_SLACK_BYTES
from transfer.jobs.import_.links import LinkStates
from transfer.jobs.restore.ahead import find_stand_ins
from transfer.jobs.restore.bagging import Sums
from transfer.jobs.restore.choice import Choice
from transfer.jobs.restore.files import FileStream
from transfer.jobs.restore.folders import Folders
from transfer.jobs.restore.if_exists import IfExists
from transfer.jobs.restore.large import LargeWriter
from transfer.jobs.restore.lists import ObjectList, write_names
from transfer.jobs.restore.options import RestoreOptions
from transfer.jobs.restore.others import OtherWriter
from transfer.jobs.restore.outcome import Outcome
from transfer.jobs.restore.places import Places
from transfer.jobs.restore.planning import Planner
from transfer.jobs.restore.pool import Pool, ProcessPool, ThreadPool
from transfer.jobs.restore.spool import Spool
from transfer.jobs.restore.target import Target
from transfer.jobs.restore.tree import IMPLIED_FOLDER_MODE, NEW_FOLDER_MODE, PartialNames, Tree
from transfer.jobs.restore.trouble import entry
from transfer.jobs.restore.units import Unit, is_alone, later_paths
from transfer.jobs.verify.findings import Finding

_FEW_ENTRIES = 2_000
"""So many are written before a worker process is ready."""
_PLANNER, _LARGE, _OTHERS = 254, 255, 253
"""Numbers of those who take names for unfinished files; the others are of the pool."""

_BROKEN = -2
"""No segment follows that: what a broken one left open is unknown."""


class OverError(Exception):
    """Somebody interrupted the job."""


class Work:
    """One restore of devices that were looked at on arrival."""

    def __init__(
        self,
        units: Sequence[Unit],
        target: Target,
        options: RestoreOptions,
        choice: Choice,
        places: Places,
        sums: Sums | None,
        outcome: Outcome,
        over: threading.Event,
        stack: ExitStack,
    ) -> None:
        self._units = units
        self._target = target
        self._descriptor = target.descriptor
        self._directory = target.directory
        self._options = options
        self._choice = choice
        self._outcome = outcome
        self._over = over
        self._mark = target.mark
        self._sums = sums
        self._rules: dict[int, StreamRules] = {}
        self._places = places
        self._objects = ObjectList(stack.enter_context(PathTable()))
        self._folder_mode = IMPLIED_FOLDER_MODE if places.has_keys else NEW_FOLDER_MODE
        self._folders = Folders(stack.enter_context(PathTable()), takes_all=choice.takes_all)
        self._links = _link_states(units, stack)
        self._spools = [Spool(unit.age) for unit in units]
        for spool in self._spools:
            stack.callback(spool.close)

    def run(self) -> None:
        """Carry it out."""
        find_stand_ins(self._units, self._links, self._choice)
        names = PartialNames(self._mark, _PLANNER)
        looking = Tree(self._descriptor, tidies=names)
        try:
            planner = Planner(
                looking,
                self._places,
                self._choice,
                self._options.if_exists,
                self._folders,
                self._objects,
                self._outcome,
            )
            self._files(planner)
        finally:
            looking.close()
        self._others()
        with entry(self._directory, partial(self._outcome.fail, b"")):
            if self._places.has_keys and self._options.object_file:
                self._objects.write(self._descriptor, names, self._outcome)
            write_names(self._places.renamed(), self._descriptor, names, self._outcome)

    def _files(self, planner: Planner) -> None:
        """Write all files."""
        stream = self._stream()
        try:
            for unit in self._units:
                self._start(planner, unit)
                self._unit(planner, stream, unit)
            stream.end()
        except BaseException as error:
            stream.stop(error)
            raise
        stream.stop()

    def _stream(self) -> FileStream:
        stream = FileStream(self._pool(), self._directory, self._objects, self._outcome, self._sums)
        chunk = max((unit.arrival.device.document.chunk_size_bytes for unit in self._units), default=1)
        stream.large = LargeWriter(
            self._writing_tree(),
            PartialNames(self._mark, _LARGE),
            self._directory,
            self._options,
            self._outcome,
            stream.fail,
            depth=max(1, self._options.memory_bytes // (2 * chunk) - self._options.workers),
            sums=self._sums,
        )
        return stream

    def _pool(self) -> Pool:
        if self._outcome.total_files <= _FEW_ENTRIES:
            return ThreadPool(self._descriptor, self._mark, self._options, self._folder_mode)
        chunk = max(unit.arrival.device.document.chunk_size_bytes for unit in self._units)
        return ProcessPool(
            self._descriptor,
            self._mark,
            self._options,
            self._folder_mode,
            frame_bytes=chunk + 2 * FRAME_SLACK_BYTES,
            lock=self._target.lock,
        )

    def _writing_tree(self, tidies: PartialNames | None = None) -> Tree:
        replaces = self._options.if_exists is IfExists.OVERWRITE
        return Tree(self._descriptor, makes=True, replaces=replaces, mode=self._folder_mode, tidies=tidies)

    def _start(self, planner: Planner, unit: Unit) -> None:
        links = self._links[unit.age]
        links.run = unit.run
        later = partial(later_paths, self._units, unit)
        planner.start(links, self._spools[unit.age], later(), later())

    def _unit(self, planner: Planner, stream: FileStream, unit: Unit) -> None:
        device = unit.arrival.device
        rules = self._rules.get(unit.source) or StreamRules(device.document.chunk_size_bytes)
        for header in unit.headers:
            if header.sequence != rules.sequence + 1:
                self._lose(planner, stream, "a segment of the manifest is lost", is_damage=True)
                rules = _rules_before(header, device.document.chunk_size_bytes)
            self._rules[unit.source] = rules
            place = self._spools[unit.age].place()
            try:
                for group in frame_groups(device, header.sequence, rules):
                    if self._over.is_set():
                        raise OverError
                    stream.hand(device, group, planner.plan(group))
            except IntegrityError as error:
                rules.sequence = _BROKEN
                self._spools[unit.age].go_back(place)
                name = device.layout.segment_file(header.sequence)
                self._outcome.found(Finding(code="segment-invalid", file=name, detail=str(error)))
                self._lose(planner, stream, f"the manifest is damaged: {error.what}", is_damage=True)
        last = unit.headers[-1].run_complete if unit.headers else True
        reason = "its run ended before it did" if last else "the copy to the device did not end"
        self._lose(planner, stream, reason, is_damage=last)

    @staticmethod
    def _lose(planner: Planner, stream: FileStream, reason: str, *, is_damage: bool) -> None:
        planner.lose_large()
        stream.lose_large(reason, is_damage=is_damage)

    def _others(self) -> None:
        """What has no content, when all files are there."""
        names = PartialNames(self._mark, _OTHERS)
        tree, originals = self._writing_tree(names), Tree(self._descriptor)
        try:
            others = OtherWriter(
                tree,
                originals,
                names,
                self._directory,
                self._options,
                self._places,
                self._links,
                self._folders,
                self._outcome,
            )
            others.make_links(self._merged())
            others.make_folders(self._merged())
        finally:
            tree.close()
            originals.close()

    def _merged(self) -> Iterator[SpottedRecord]:
        """All that was kept for later, by path; each is live."""
        for item in merge_runs([spool.records() for spool in self._spools]):
            if self._over.is_set():
                raise OverError
            yield item


def _link_states(units: Sequence[Unit], stack: ExitStack) -> list[LinkStates]:
    """By age of the unit: one for each device."""
    of_source: dict[int, LinkStates] = {}
    for unit in units:
        if unit.source not in of_source:
            mine = [other for other in units if other.source == unit.source]
            several = not all(is_alone(units, other) for other in mine)
            of_source[unit.source] = LinkStates(stack.enter_context(PathTable()), several_runs=several)
    return [of_source[unit.source] for unit in units]


def _rules_before(header: Header, chunk_size_bytes: int) -> StreamRules:
    """Rules that expect this segment, whatever stood before it."""
    rules = StreamRules(chunk_size_bytes)
    nothing = {"first_path": "", "first_path_base64": "", "last_path": "", "last_path_base64": ""}
    rules.skip_to(msgspec.structs.replace(header, sequence=header.sequence - 1, **nothing), header)
    return rules
