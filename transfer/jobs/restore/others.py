"""What has no content of its own: hard links, symbolic links, folders, and what the device lacks.

From the merged view, when all files are there. Symbolic links are made as they were told and never resolved.
Folders get times and rights from the inside out, each when nothing in it will change any more.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from functools import partial

from transfer.core.merge import SpottedRecord
from transfer.core.records import Directory, Failed, File, Hardlink, Skipped, Symlink
from transfer.jobs.import_.entries import missing_reason
from transfer.jobs.import_.links import LinkStates, text_path
from transfer.jobs.restore.copied_links import CHANGED, is_refused, write_copy
from transfer.jobs.restore.folders import Folders
from transfer.jobs.restore.judging import Verdict, judge, judge_symlink, refusal
from transfer.jobs.restore.metadata import set_link_metadata, set_metadata
from transfer.jobs.restore.options import RestoreOptions
from transfer.jobs.restore.outcome import Outcome
from transfer.jobs.restore.partial import Partial, place
from transfer.jobs.restore.places import Places
from transfer.jobs.restore.tree import (
    ObstacleError,
    PartialNames,
    Tree,
    check_name,
    look_at,
    split,
    target_of,
)
from transfer.jobs.restore.trouble import entry


class OtherWriter:
    """Makes links and folders of one restore.

    Args:
        tree: of the directory, for writing.
        originals: of the directory too, for finding what hard links are made to.
        names: of what is not in its place yet; nobody else's.
        directory: its name.
        options: of the restore.
        places: where entries go.
        links: by age of the unit: what became of the files of its device.
        folders: which are wanted.
        outcome: told what was made, and what was not.
    """

    def __init__(
        self,
        tree: Tree,
        originals: Tree,
        names: PartialNames,
        directory: str,
        options: RestoreOptions,
        places: Places,
        links: Sequence[LinkStates],
        folders: Folders,
        outcome: Outcome,
    ) -> None:
        self._tree = tree
        self._originals = originals
        self._names = names
        self._directory = directory
        self._options = options
        self._places = places
        self._links = links
        self._folders = folders
        self._outcome = outcome

    def make_links(self, entries: Iterator[SpottedRecord]) -> None:
        """Make all links, and tell what is missing.

        Raises:
            DeviceError: nothing more can be written to the directory.
        """
        for path, record, (age, _) in entries:
            to = self._places.of(path, record)
            match record:
                case Hardlink():
                    self._folders.hold(path)
                    with entry(self._directory, partial(self._outcome.fail, to)):
                        self._hardlink(path, to, record, self._links[age])
                case Symlink() if self._options.bag is not None:
                    self._outcome.fail(to, "a bag holds no symbolic links")
                case Symlink():
                    self._folders.hold(path)
                    with entry(self._directory, partial(self._outcome.fail, to)):
                        self._symlink(to, record)
                case Failed() | Skipped():
                    self._outcome.fail(path, missing_reason(record))
                case _:
                    pass

    def make_folders(self, entries: Iterator[SpottedRecord]) -> None:
        """Make folders that are missing, and set times and rights of all.

        Raises:
            DeviceError: as `make_links`.
        """
        inside: list[tuple[bytes, Directory | File]] = []
        for path, record, _ in entries:
            while inside and not path.startswith(inside[-1][0]):
                self._finish(*inside.pop())
            if isinstance(record, File) or (isinstance(record, Directory) and self._folders.has(path)):
                to = self._places.of(path, record)
                with entry(self._directory, partial(self._outcome.fail, to)):
                    self._tree.folder(to)
                    inside.append((path, record))
        while inside:
            self._finish(*inside.pop())

    def _finish(self, origin: bytes, record: Directory | File) -> None:
        path = self._places.of(origin, record)
        with entry(self._directory, partial(self._outcome.fail, path)):
            problems = set_metadata(self._tree.folder(path), record, sets_owner=self._options.sets_owner)
            self._outcome.note(path, problems)
            self._outcome.wrote(path, 0)

    def _hardlink(self, path: bytes, to: bytes, record: Hardlink, links: LinkStates) -> None:
        state = links.source(path, record)
        original = text_path(state.stand_in) if state.stand_in else record.target_bytes
        if original == path and not state.problem:
            return  # it stands in for its file, and was written as one
        origin, path = self._places.of(original, record), to
        folder, name = split(path)
        check_name(name)
        target = self._tree.folder(folder)
        there = look_at(name, target)
        verdict = judge(record.mtime_ns, record.size_bytes, there, self._options.if_exists)
        if not self._is_to_be_made(path, verdict, there):
            return
        if state.problem:
            self._outcome.fail(path, f"hard link: {state.problem}", is_damage=state.is_lost)
            return
        origin_folder, origin_name = split(origin)
        source = self._originals.folder(origin_folder)
        file = look_at(origin_name, source)
        if file is None or not stat.S_ISREG(file.st_mode) or file.st_size != record.size_bytes:
            raise ObstacleError(CHANGED)
        if there is not None and os.path.samestat(file, there):
            self._outcome.was_there(path, 0)
            return
        aside = self._names.new()
        try:
            os.link(origin_name, aside, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
        except OSError as error:
            if not is_refused(error):
                raise
            new, owner = Partial(target, aside), self._options.sets_owner
            problems = write_copy(source, origin_name, new, record, state.blake3, name, owner=owner)
            self._outcome.note(path, problems)
            self._outcome.wrote(path, record.size_bytes)
        else:
            self._name(aside, name, target)
            self._outcome.wrote(path, 0)

    def _symlink(self, path: bytes, record: Symlink) -> None:
        folder, name = split(path)
        check_name(name)
        target = self._tree.folder(folder)
        there = look_at(name, target)
        leads_to = target_of(name, target, there)
        verdict = judge_symlink(record, leads_to, there, self._options.if_exists)
        if self._is_to_be_made(path, verdict, there):
            aside = self._names.new()
            os.symlink(record.target_bytes, aside, dir_fd=target)
            problems = set_link_metadata(target, aside, record, sets_owner=self._options.sets_owner)
            self._name(aside, name, target)
            self._outcome.note(path, problems)
            self._outcome.wrote(path, 0)

    def _is_to_be_made(self, path: bytes, verdict: Verdict, there: os.stat_result | None) -> bool:
        match verdict:
            case Verdict.DONE:
                self._outcome.was_there(path, 0)
            case Verdict.SKIP:
                self._outcome.left()
            case Verdict.REFUSE if there is not None:
                self._outcome.fail(path, refusal(there))
            case _:
                return True
        return False

    @staticmethod
    def _name(aside: bytes, name: bytes, folder: int) -> None:
        try:
            place(aside, name, folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(aside, dir_fd=folder)
            raise
