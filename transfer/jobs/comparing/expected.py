"""Which objects an import makes of a device, and which entries it makes none of: in the order of keys.

The decisions are those of the import (`import_.entries`, `import_.others`), made here once more from the same
manifest, without content. Of an object with versions the newest counts, which is none where that one says
that it was deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

from awscrt.checksums import crc32c, crc64nvme
from blake3 import blake3

from transfer.core.merge import Spot, SpottedRecord, merge_runs
from transfer.core.object_keys import object_key
from transfer.core.records import (
    DeleteMarker,
    Directory,
    Entry,
    Failed,
    File,
    Hardlink,
    Metadata,
    ObjectFacts,
    Skipped,
    Symlink,
)
from transfer.device.manifest import Manifest
from transfer.device.path_table import PathTable
from transfer.jobs.comparing.originals import Content, content_of
from transfer.jobs.comparing.told import (
    Expected,
    Implied,
    Refused,
    Told,
    in_key_order,
    sorted_by_key,
    unique,
)
from transfer.jobs.import_.emptiness import with_emptiness
from transfer.jobs.import_.entries import is_wanted, key_of, link_problem, missing_reason, target_of
from transfer.jobs.import_.listed_objects import ListedObjects
from transfer.jobs.import_.objects import facts_of
from transfer.jobs.import_.options import ImportOptions, Symlinks
from transfer.jobs.import_.targets import Targets

_CHANGED = "the file changed at the source while it was being read"
_LOST = "the device does not tell its content"


LinkContent = Callable[[bytes, Hardlink, Spot], Content | None]


@dataclass(frozen=True)
class Listed:
    """How an import went by a list of objects.

    Attributes:
        targets: where entries went.
        objects: the list.
        table: empty, to sort by key.
    """

    targets: Targets
    objects: ListedObjects
    table: PathTable


@dataclass
class Expectation:
    """Goes over a merged view once.

    Args:
        entries: the view, as `merge_runs` gives it.
        options: of the import; what its filter leaves out is not told.
        link_content: the content of a hard link; None where the device does not tell.
        is_lenient: an entry counts as the object that it would be, although it changed while it was read or
            the limits of stores are against its key; what failed or was skipped has a key too.
        listed: the import went by a list of objects, whose keys have another order than paths.

    Attributes:
        folders_implied: folders with something in them, so far.
        symlinks_left_out: so far.
    """

    entries: Iterator[SpottedRecord]
    options: ImportOptions
    link_content: LinkContent
    is_lenient: bool = False
    listed: Listed | None = None
    folders_implied: int = field(default=0, init=False)
    symlinks_left_out: int = field(default=0, init=False)

    def __iter__(self) -> Iterator[Told]:
        """What is expected, by key.

        Raises:
            IntegrityError, DeviceError: the manifest cannot be read.
        """
        if self.listed is not None:
            return sorted_by_key(self._by_path(), self.listed.table)
        return unique(in_key_order(self._by_path(), self.options.prefix))

    def _by_path(self) -> Iterator[Told]:
        rules = self.options.filter
        sent_links = self.options.symlinks is Symlinks.RCLONE
        told = with_emptiness(newest(self.entries), symlinks_have_keys=sent_links)
        for (path, record, spot), is_empty in told:
            is_list = self.listed is not None and self.listed.targets.is_list(path)
            if not is_list and is_wanted(path, None, rules, is_object=facts_of(record) is not None):
                one = self._one(path, record, spot, is_empty)
                if one is not None:
                    yield one

    def _one(self, path: bytes, record: Entry, spot: Spot, is_empty: bool) -> Told | None:
        match record:
            case Failed() | Skipped():
                return Refused(path, self._lost_key(path), "not-on-device", missing_reason(record))
            case File():
                return self._object(path, record, content_of(record))
            case Hardlink():
                return self._object(path, record, self.link_content(path, record, spot))
            case Directory():
                return self._folder(path, record, is_empty)
            case Symlink():
                return self._symlink(path, record)
        return None

    def _folder(self, path: bytes, record: Directory, is_empty: bool) -> Told | None:
        is_object = is_empty or (self.listed is not None and self.listed.targets.is_listed(path))
        if is_object and self.options.filter.accepts_file(path):
            return self._object(path, record, _content(b""))
        self.folders_implied += 1
        if self.listed is not None:  # its name is none of a key
            return None
        key, problem = object_key(self.options.prefix, path, self.options.limits)
        return None if problem else Implied(path, key)

    def _symlink(self, path: bytes, record: Symlink) -> Expected | Refused | None:
        match self.options.symlinks:
            case Symlinks.REPORT:
                return Refused(path, "", "not-sendable", link_problem(record))
            case Symlinks.SKIP:
                self.symlinks_left_out += 1
                return None
            case Symlinks.RCLONE:
                return self._object(path, record, _content(record.target_bytes))

    def _object(self, path: bytes, record: Metadata, content: Content | None) -> Expected | Refused:
        size_bytes = content.size_bytes if content else 0
        if self.listed is not None:
            target = self.listed.targets.of(path, record, size_bytes)
        else:
            target = target_of(path, record, size_bytes, self.options)
        if target.problem and not (self.is_lenient and _is_text(path)):
            return Refused(path, "", "not-sendable", target.problem)
        if content is None:
            return Refused(path, target.key, "unproved", _LOST)
        if content.is_mixed and not self.is_lenient:
            return Refused(path, target.key, "changed-at-source", _CHANGED)
        return Expected(path, target.key, content, facts_of(record) or self._listed_facts(path, content))

    def _lost_key(self, path: bytes) -> str:
        """Where an object would be of what failed or was skipped."""
        if not self.is_lenient or not _is_text(path):
            return ""
        return self.listed.targets.key(path) if self.listed is not None else key_of(path, self.options)

    def _listed_facts(self, path: bytes, content: Content) -> ObjectFacts | None:
        """What the list says of a file, unless that has other content since."""
        line = self.listed.objects.find(path) if self.listed is not None else None
        if line is None or (line.size_bytes, line.blake3) != (content.size_bytes, content.blake3):
            return None
        return line.object


def whole_view(manifest: Manifest) -> Iterator[SpottedRecord]:
    """The merged view of a device; unlike `arrival.merged` it passes over nothing that cannot be read."""
    return merge_runs([manifest.spotted_records(run) for run in manifest.runs])


def newest(entries: Iterator[SpottedRecord]) -> Iterator[SpottedRecord]:
    """Of each path the newest entry, unless that says that it was deleted, and what failed or was skipped."""
    for _, same in groupby(entries, key=itemgetter(0)):
        entry: SpottedRecord | None = None
        trouble: SpottedRecord | None = None
        for item in same:
            if isinstance(item[1], Failed | Skipped):
                trouble = item
            else:
                entry = item
        if entry is not None and not isinstance(entry[1], DeleteMarker):
            yield entry
        if trouble is not None:
            yield trouble


def _is_text(path: bytes) -> bool:
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True


def _content(body: bytes) -> Content:
    """The content of what has none in the packs."""
    return Content(len(body), blake3(body).hexdigest(), f"{crc64nvme(body):016x}", f"{crc32c(body):08x}")
