"""What became of the files that hard links name: a link is copied from the right content, or reported.

A hard link names the newest file record of its target in its own run or before (FORMAT.md §11): a *version*
of the file, known by path and run. The bucket may hold a later version under the target's key, or nothing at
all, where the filter leaves the target out. Then the version goes into the bucket under the key of the first
link to it, which *stands in*, and further links are copied from there.

Who stands in for whom is found by a pass over the manifest before anything is sent. It is needed only for
devices with several runs, and with filters. All that is remembered lies on temporary disk; of a device with
one run that is about files with several names, and with names that could be taken for symbolic links.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from transfer.core.filters import Filter
from transfer.core.merge import LaterPaths
from transfer.core.object_keys import LINK_SUFFIX
from transfer.core.records import File, Hardlink
from transfer.device.manifest import Manifest
from transfer.device.path_table import PathTable
from transfer.jobs.import_.arrival import run_records
from transfer.jobs.import_.entries import is_wanted

# Kinds of rows; a path holds no NUL byte, so they never meet.
_NEWEST, _NEWEST_AHEAD, _VERSION, _LINK, _STAND_IN = b"n\0", b"a\0", b"v\0%d\0", b"l\0", b"s\0%d\0"
_LOST = "its record was lost with a damaged segment"


class LinkState(Struct, omit_defaults=True):
    """A version of a file.

    Attributes:
        problem: why it is not in the bucket; empty as long as all is well.
        etag: of the object, when it is there.
        blake3: of the content.
        stand_in: the path of the link that stands in, as `path_text` spells it; empty where none does.
        is_lost: the device does not tell of it, as it should.
    """

    problem: str = ""
    etag: str = ""
    blake3: str = ""
    stand_in: str = ""
    is_lost: bool = False


# Made here: msgspec must not build one type's decoder in two threads at once.
_decoder = msgspec.json.Decoder(LinkState)


class LinkStates:
    """The states of one import; `run` is the one that is being read."""

    def __init__(self, table: PathTable, *, several_runs: bool) -> None:
        self.run = 0
        self._table = table
        self.several_runs = several_runs
        self._has_stand_ins = False

    def find_stand_ins(self, manifest: Manifest, rules: Filter) -> None:
        """Look ahead over the manifest, where it matters."""
        if not self.several_runs and rules.is_empty:
            return
        for run in manifest.runs:
            later = LaterPaths([run_records(manifest, newer) for newer in manifest.runs if newer > run])
            for path, record in run_records(manifest, run):
                if isinstance(record, File):
                    self.file_ahead(run, path, record)
                elif isinstance(record, Hardlink) and _is_live(path, record, later, rules):
                    self.offer_stand_in(path, record.target_bytes)

    def file_ahead(self, run: int, path: bytes, record: File) -> None:
        """A file comes by while looking ahead, run by run."""
        self._has_stand_ins = True
        if self.notes(path, record):
            self._table.put(_NEWEST_AHEAD + path, str(run))

    def offer_stand_in(self, path: bytes, target: bytes) -> None:
        """A hard link that will be made comes by, looking ahead; the first one to a version stands in."""
        version = self._table.get(_NEWEST_AHEAD + target)
        if version is not None and self._table.get(place := _STAND_IN % int(version) + target) is None:
            self._table.put(place, path_text(path))

    def stand_in(self, path: bytes) -> bytes | None:
        """The link that takes the version of `path` at hand under its key, if there is one."""
        text = self._table.get(_STAND_IN % self.run + path) if self._has_stand_ins else None
        return None if text is None else text_path(text)

    def meet_file(self, path: bytes, record: File, state: LinkState) -> None:
        """A file comes by, in the order of the device; it is the newest version so far."""
        if self.notes(path, record):
            self._table.put(_NEWEST + path, str(self.run))
            self.settle(self.run, path, record, state)

    def settle(self, run: int, path: bytes, record: File, state: LinkState) -> None:
        """What became of a version, whichever run is at hand by now."""
        if self.notes(path, record):
            self._table.put(_VERSION % run + path, msgspec.json.encode(state).decode())

    def meet(self, path: bytes, link: Hardlink) -> None:
        """A live hard link comes by, in the order of the device."""
        self._table.put(_LINK + path, self._table.get(_NEWEST + link.target_bytes) or "")

    def source(self, path: bytes, link: Hardlink) -> LinkState:
        """The version that a hard link names, when all files are settled."""
        run = self._table.get(_LINK + path)
        text = self._table.get(_VERSION % int(run) + link.target_bytes) if run else None
        return _decoder.decode(text) if text else LinkState(problem=_LOST, is_lost=True)

    def is_taken(self, path: bytes) -> bool:
        """Whether a file or hard link of the device has this path, which is one of `LINK_SUFFIX`."""
        return any(self._table.get(kind + path) is not None for kind in (_NEWEST, _LINK))

    def notes(self, path: bytes, record: File) -> bool:
        """Whether anything has to be remembered of a file."""
        return self.several_runs or record.inode is not None or path.endswith(LINK_SUFFIX.encode())


def _is_live(path: bytes, link: Hardlink, later: LaterPaths, rules: Filter) -> bool:
    return not later.has(path) and is_wanted(path, link.size_bytes, rules)


def path_text(path: bytes) -> str:
    """A path in a table's or a state's spelling."""
    return path.decode("latin-1")


def text_path(text: str) -> bytes:
    """The path of that spelling."""
    return text.encode("latin-1")
