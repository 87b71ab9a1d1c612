"""Which objects an import makes of a device, and which entries it makes none of: in the order of keys.

The decisions are those of the import (`import_.entries`, `import_.others`), made here once more from the same
manifest, without content. Entries come in the order of their paths; a symbolic link's key sorts elsewhere, so
that few of them have to be held back: only those whose path is the beginning of the current one.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from awscrt.checksums import crc32c, crc64nvme
from blake3 import blake3
from msgspec import Struct

from transfer.core.merge import merge_runs
from transfer.core.records import Directory, Entry, Failed, File, Hardlink, Metadata, Skipped, Symlink
from transfer.device.manifest import Manifest
from transfer.formats.certificate import State
from transfer.jobs.certify.originals import Content, Originals, content_of
from transfer.jobs.import_.entries import link_problem, target_of
from transfer.jobs.import_.options import ImportOptions, Symlinks
from transfer.jobs.import_.others import missing_reason, with_emptiness

_SAME_KEY = "a file of the device has the same key"
_CHANGED = "the file changed at the source while it was being read"
_LOST = "the device does not tell its content"


class Expected(Struct, frozen=True):
    """An object that must be in the bucket."""

    path: bytes
    key: str
    content: Content


class Refused(Struct, frozen=True):
    """An entry that no object can be certified for; its key, where it can have one."""

    path: bytes
    key: str
    state: State
    reason: str


@dataclass
class Expectation:
    """Goes over a device once.

    Attributes:
        folders_implied: folders with something in them, so far.
        symlinks_left_out: so far.
    """

    manifest: Manifest
    options: ImportOptions
    originals: Originals
    folders_implied: int = field(default=0, init=False)
    symlinks_left_out: int = field(default=0, init=False)

    def __iter__(self) -> Iterator[Expected | Refused]:
        """What is expected, by key.

        Raises:
            IntegrityError, DeviceError: the manifest cannot be read.
        """
        return unique(in_key_order(self._by_path(), self.options.prefix))

    def _by_path(self) -> Iterator[Expected | Refused]:
        # Not `arrival.merged`, which passes over what it cannot read: here nothing may be left out.
        runs = [self.manifest.spotted_records(run) for run in self.manifest.runs]
        sent_links = self.options.symlinks is Symlinks.RCLONE
        for (path, record, _), is_empty in with_emptiness(merge_runs(runs), symlinks_have_keys=sent_links):
            told = self._one(path, record, is_empty)
            if told is not None:
                yield told

    def _one(self, path: bytes, record: Entry, is_empty: bool) -> Expected | Refused | None:
        match record:
            case Failed() | Skipped():
                return Refused(path, "", "not-on-device", missing_reason(record))
            case File():
                return self._object(path, record, content_of(record))
            case Hardlink():
                return self._object(path, record, self.originals.of(path))
            case Directory() if is_empty:
                return self._object(path, record, _content(b""))
            case Directory():
                self.folders_implied += 1
            case Symlink():
                return self._symlink(path, record)
        return None

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
        target = target_of(path, record, content.size_bytes if content else 0, self.options)
        if target.problem:
            return Refused(path, "", "not-sendable", target.problem)
        if content is None:
            return Refused(path, target.key, "unproved", _LOST)
        if content.is_mixed:
            return Refused(path, target.key, "changed-at-source", _CHANGED)
        return Expected(path, target.key, content)


def in_key_order(told: Iterable[Expected | Refused], prefix: str) -> Iterator[Expected | Refused]:
    """The same, ascending by key where there is one; of two with one key the longer path comes first.

    Args:
        told: ascending by path; keys are prefix and path, and of some entries with something behind it.
        prefix: of all keys.
    """
    held: list[tuple[str, int, Expected | Refused]] = []
    for one in told:
        if not one.key:
            yield one
            continue
        plain = prefix + one.path.decode()  # no key to come is less than this
        while held and held[0][0] < plain:
            yield heapq.heappop(held)[2]
        if held or one.key != plain:
            heapq.heappush(held, (one.key, -len(one.path), one))
        else:
            yield one
    while held:
        yield heapq.heappop(held)[2]


def unique(told: Iterable[Expected | Refused]) -> Iterator[Expected | Refused]:
    """The same, ascending by key, but that only the first of two with one key has it, as in the import."""
    last = ""
    for one in told:
        if one.key and one.key == last:
            yield Refused(one.path, "", "not-sendable", _SAME_KEY)
        else:
            last = one.key or last
            yield one


def _content(body: bytes) -> Content:
    """The content of what has none in the packs."""
    return Content(len(body), blake3(body).hexdigest(), f"{crc64nvme(body):016x}", f"{crc32c(body):08x}")
