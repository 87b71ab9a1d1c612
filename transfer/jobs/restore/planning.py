"""What is to be done with each frame, decided before it is read: frames that hold nothing wanted stay unread.

Records come in the order of the device. An entry is passed over when a newer run replaced it, nobody wants
it, or it is there already; of a file that only its hard links need, the first of these stands in. What has no
content is kept for later (`Spool`), as far as it is live.
"""

from __future__ import annotations

from transfer.core.merge import LaterPaths
from transfer.core.records import (
    Begin,
    Chunk,
    Directory,
    Entry,
    Failed,
    File,
    Hardlink,
    ObjectFacts,
    Skipped,
    Symlink,
    Void,
)
from transfer.device.frame_stream import FrameGroup
from transfer.jobs.import_.links import LinkState, LinkStates, path_text
from transfer.jobs.restore.choice import Choice
from transfer.jobs.restore.folders import Folders
from transfer.jobs.restore.goals import Goal, GroupWork, Target
from transfer.jobs.restore.if_exists import IfExists
from transfer.jobs.restore.judging import Verdict, judge, refusal
from transfer.jobs.restore.lists import ObjectList
from transfer.jobs.restore.outcome import Outcome
from transfer.jobs.restore.places import Places, is_folder
from transfer.jobs.restore.spool import Spool
from transfer.jobs.restore.tree import ObstacleError, Tree

UNWANTED = "neither it nor its file was wanted"
BEGIN_LOST = "its beginning is lost with a damaged segment"
LEFT = "its file was left as it was in the directory"
NOT_RESTORED = "its file could not be restored"


class Planner:
    """Plans one restore; called by one thread at a time, unit by unit, in the order of the device.

    Args:
        tree: of the directory, for looking.
        places: where entries go.
        choice: which are wanted.
        if_exists: what becomes of names that are taken.
        folders: told which folders hold something wanted.
        objects: told which objects go where.
        outcome: told what is there already, and what is in the way.
    """

    def __init__(
        self,
        tree: Tree,
        places: Places,
        choice: Choice,
        if_exists: IfExists,
        folders: Folders,
        objects: ObjectList,
        outcome: Outcome,
    ) -> None:
        self._tree = tree
        self._places = places
        self._choice = choice
        self._if_exists = if_exists
        self._folders = folders
        self._objects = objects
        self._outcome = outcome
        self._has_begun = self._takes_chunks = False
        self._large: Target | None = None
        self._told = b""
        self._absent = b""
        """A folder that is not there: so nothing in it is."""

    def start(self, links: LinkStates, spool: Spool, later: LaterPaths, loose: LaterPaths) -> None:
        """The records of another unit begin.

        Args:
            links: of its device.
            spool: of its own.
            later: what newer units have of its paths.
            loose: the same, for records that need no frame, which come in an order of their own.
        """
        self._links = links
        self._spool = spool
        self._later = later
        self._loose = loose
        self._absent = b""
        self.lose_large()

    def lose_large(self) -> None:
        """The large file at hand goes no further; whoever writes it tells."""
        if self._large is not None and self._takes_chunks:
            self._told = self._large.path
        self._end_large()

    def _end_large(self) -> None:
        self._has_begun = self._takes_chunks = False
        self._large = None

    def plan(self, group: FrameGroup) -> GroupWork:
        """Decide about a group."""
        work = GroupWork()
        for record in group.records:
            kind = type(record)
            if kind is File:
                if record.offset is None:  # type: ignore[attr-defined]
                    work.concerns_large = True
                    self._close(record)  # type: ignore[arg-type]
                else:
                    self._small(record, work)  # type: ignore[arg-type]
            else:
                self._other(record, work)
        return work

    def _other(self, record: Entry, work: GroupWork) -> None:
        match record:
            case Begin():
                work.concerns_large = True
                self._begin(record, work)
            case Chunk():
                work.concerns_large = True
                work.needs_chunk = self._takes_chunks
            case Void():
                work.concerns_large = True
                self._end_large()
            case Hardlink() | Symlink() | Directory():
                self._without_content(record)
            case Failed() | Skipped():
                path = record.path_bytes
                is_wanted = self._choice.has(path, is_object=self._places.has_keys)
                if is_wanted and not self._loose.has(path):
                    self._spool.put(record)
            case _:  # removed and delete-marker say something of others
                pass

    def _without_content(self, record: Hardlink | Symlink | Directory) -> None:
        path = record.path_bytes
        if self._later.has(path):
            return
        if isinstance(record, Directory):
            self._spool.put(record)  # whether it is wanted is known at the end
            if self._choice.names(path):
                self._folders.want(path)
        elif self._choice.has(path, record.size_bytes if isinstance(record, Hardlink) else None):
            self._spool.put(record)
            if isinstance(record, Hardlink):
                self._links.meet(path, record)

    def _small(self, record: File, work: GroupWork) -> None:
        path = record.path_bytes
        if record.object is not None and is_folder(record):
            self._folder_object(path, record)
            return
        target = self._target(path, record)
        if target is not None:
            self._list(path, record, target)
            if target.verdict is Verdict.WRITE:
                work.files.append(Goal(target.path, path, record, self._links, self._links.run))
            else:
                self._count(record, target)
        if self._links.notes(path, record):
            self._links.meet_file(path, record, self._settled(record, target))

    def _begin(self, record: Begin, work: GroupWork) -> None:
        """A large file begins. Should it be given up, nothing is told of this attempt."""
        path = record.path_bytes
        self._large, self._has_begun = self._target(path, record), True
        if self._large is not None and self._large.verdict is Verdict.WRITE:
            work.begins = Goal(self._large.path, path, record, self._links, self._links.run)
        self._takes_chunks = work.begins is not None

    def _close(self, record: File) -> None:
        """A large file's last record, the only one with all that hard links may ask for."""
        path = record.path_bytes
        if self._has_begun:
            state = self._settled(record, self._large)
            if self._large is not None:
                self._list(path, record, self._large)
                if self._large.verdict is not Verdict.WRITE:
                    self._count(record, self._large)
        else:
            state = LinkState(problem=BEGIN_LOST)
            place = self._place(path, record)
            if place is not None and place != self._told:
                self._outcome.fail(place, BEGIN_LOST, is_damage=True)
        self._links.meet_file(path, record, state)
        self._end_large()

    def _folder_object(self, key: bytes, record: File) -> None:
        """An empty object that stands for a folder is one, made with the others at the end."""
        if self._choice.has(key, 0) and not self._is_replaced(key, record.object):
            self._spool.put(record)
            self._objects.put(self._places.of(key, record), key, record)

    def _list(self, key: bytes, record: File, target: Target) -> None:
        if record.object is not None and target.verdict in (Verdict.WRITE, Verdict.DONE):
            self._objects.put(target.path, key, record)

    def _target(self, origin: bytes, record: File | Begin) -> Target | None:
        """Where a file goes; None where nobody wants it."""
        path = self._place(origin, record)
        if path is None:
            return None
        if self._absent and path.startswith(self._absent):
            return Target(path, Verdict.WRITE, None)
        there = None
        try:
            there = self._tree.look(path)
        except FileNotFoundError:
            self._absent = self._tree.missing
        except (ObstacleError, OSError):  # whoever writes tells
            pass
        return Target(path, judge(record.mtime_ns, record.size_bytes, there, self._if_exists), there)

    def _count(self, record: File, target: Target) -> None:
        """Tell of a file that is not to be written."""
        if target.verdict is Verdict.SKIP:
            self._outcome.left()
        elif target.verdict is Verdict.REFUSE and target.there is not None:
            self._outcome.fail(target.path, refusal(target.there))
        elif target.verdict is Verdict.DONE:
            self._outcome.was_there(target.path, record.size_bytes)

    def _settled(self, record: File, target: Target | None) -> LinkState:
        """What hard links to a file have to know."""
        if target is None:
            return LinkState(problem=UNWANTED)
        if target.verdict in (Verdict.SKIP, Verdict.REFUSE):
            return LinkState(problem=LEFT)
        stand_in = self._stand_in
        stands_in = stand_in != record.path_bytes
        return LinkState(stand_in=path_text(stand_in) if stands_in else "", blake3=record.blake3)

    def _place(self, origin: bytes, record: File | Begin) -> bytes | None:
        """Where a file of the unit at hand goes; `_stand_in` is then the entry that it is restored as."""
        facts: ObjectFacts | None = record.object
        wanted: bytes | None = origin
        if not self._choice.has(origin, record.size_bytes) or self._is_replaced(origin, facts):
            wanted = self._links.stand_in(origin)
        if wanted is None:
            return None
        self._stand_in = wanted
        path = self._places.of(wanted, record)
        self._folders.hold(wanted)
        return path

    def _is_replaced(self, origin: bytes, facts: ObjectFacts | None) -> bool:
        if facts is not None and facts.history and not self._places.is_newest(origin, facts.version_id):
            return True
        return self._later.has(origin)
